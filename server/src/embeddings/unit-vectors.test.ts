import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { dot, normalise } from './unit-vectors.ts';

const vectors = fc
  .array(fc.double({ min: -100, max: 100, noNaN: true }), { minLength: 1, maxLength: 64 })
  .map((values) => Float32Array.from(values));

describe('vectors', () => {
  it('are brought to length 1; zeros stay', () => {
    expect(normalise(Float32Array.of(3, 4))).toEqual(Float32Array.of(0.6, 0.8));
    expect(normalise(Float32Array.of(0, 0))).toEqual(Float32Array.of(0, 0));
    fc.assert(
      fc.property(vectors, (vector) => {
        const unit = normalise(vector);
        if (dot(vector, vector) > 1e-12) expect(dot(unit, unit)).toBeCloseTo(1, 5);
      }),
    );
  });
});
