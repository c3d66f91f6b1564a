import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { dot, dotQuantised, normalise, quantise } from './quantise.ts';

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

  it('lose at most half a step when quantised', () => {
    fc.assert(
      fc.property(vectors, (vector) => {
        const { codes, scale } = quantise(vector);
        const errors = [...vector].map((value, d) => Math.abs(value - (codes[d] ?? 0) * scale));
        expect(Math.max(...errors)).toBeLessThanOrEqual(scale * 0.5001);
      }),
    );
  });

  it('keep their dot products when quantised', () => {
    const left = normalise(Float32Array.from({ length: 256 }, (_, d) => Math.sin(d)));
    const right = normalise(Float32Array.from({ length: 256 }, (_, d) => Math.sin(d * 1.02)));
    expect(dotQuantised(quantise(left), quantise(right))).toBeCloseTo(dot(left, right), 2);
    expect(dotQuantised(quantise(left), quantise(new Float32Array(256)))).toBe(0);
  });
});
