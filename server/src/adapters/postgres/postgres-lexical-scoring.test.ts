import fc from 'fast-check';
import { expect, it } from 'vitest';
import { bestOf } from './postgres-lexical-scoring.ts';

it('gives the best chunks in order, however many there are', () => {
  const scores = fc
    .array(fc.nat(40), { maxLength: 300 })
    .map((all) => new Map(all.map((score, chunk) => [chunk, score])));
  fc.assert(
    fc.property(scores, fc.integer({ min: 1, max: 30 }), (all, count) => {
      const sorted = [...all].sort(([one, high], [other, low]) => low - high || one - other);
      expect(bestOf(all, count)).toEqual(sorted.slice(0, count).map(([chunk]) => chunk));
    }),
  );
});
