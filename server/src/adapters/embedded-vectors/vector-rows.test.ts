import { describe, expect, it } from 'vitest';
import { createInt8Kernel } from './int8-kernel.ts';
import { createVectorRows } from './vector-rows.ts';

const DIMENSIONS = 64;
const vectorOf = (seed: number): Float32Array => {
  const values = Float32Array.from({ length: DIMENSIONS }, (_, index) => Math.sin(seed * 12.9898 + index * 78.233));
  const length = Math.hypot(...values);
  return values.map((value) => value / length);
};

describe('rows of vectors', () => {
  it('give up their exact copy when they grow large, and score nearly the same', () => {
    const kernel = createInt8Kernel();
    const exact = createVectorRows(DIMENSIONS, kernel);
    const small = createVectorRows(DIMENSIONS, kernel, 100 * DIMENSIONS * 4);
    for (let seed = 0; seed < 1_000; seed += 1) for (const rows of [exact, small]) rows.append(vectorOf(seed), seed);
    expect(small.bytes).toBeLessThan(exact.bytes / 3);
    const query = vectorOf(5_000.5);
    for (let row = 0; row < 1_000; row += 1) {
      expect(Math.abs((small.exact(row, query) ?? 0) - (exact.exact(row, query) ?? 0))).toBeLessThan(0.005);
    }
    for (const rows of [exact, small]) for (let row = 0; row < 950; row += 1) rows.remove(0);
    expect(small.count).toBe(50);
    expect(Math.abs((small.exact(7, query) ?? 0) - (exact.exact(7, query) ?? 0))).toBeLessThan(0.005);
  });

  it('score the same when they were read back as when they were added one by one', () => {
    const kernel = createInt8Kernel();
    const [added, readBack] = [0, 1].map(() => createVectorRows(DIMENSIONS, kernel, 100 * DIMENSIONS * 4));
    for (let seed = 0; seed < 71; seed += 1) {
      // Rows are without spare room after they were read from the database.
      if (seed === 70) added?.compact();
      for (const rows of [added, readBack]) rows?.append(vectorOf(seed), seed);
    }
    const query = vectorOf(5_000.5);
    const scores = [added, readBack].map((rows) => Array.from({ length: 71 }, (_, row) => rows?.exact(row, query)));
    expect(scores[0]).toEqual(scores[1]);
  });
});
