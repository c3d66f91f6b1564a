import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ScoredChunk } from '../../vector-store/index.ts';
import { type FusionWeights, fuse as fuseSpaces } from './fusion.ts';

const side = (scores: Readonly<Record<string, number>>): ScoredChunk[] =>
  Object.entries(scores).map(([chunkId, score]) => ({ chunkId, score }));
const fuse = (dense: readonly ScoredChunk[], lexical: readonly ScoredChunk[], weights: FusionWeights) =>
  fuseSpaces([{ scores: dense, weight: 0.4 }], lexical, weights);
const asMap = (fused: readonly ScoredChunk[]): Map<string, number> =>
  new Map(fused.map(({ chunkId, score }) => [chunkId, score]));

const anySide = fc
  .uniqueArray(
    fc.record({
      chunkId: fc.integer({ min: 0, max: 30 }).map((number) => `c${number}`),
      score: fc.double({ min: -50, max: 50, noNaN: true }).map((score) => Math.round(score * 1000) / 1000),
    }),
    { selector: ({ chunkId }) => chunkId, maxLength: 25 },
  )
  .map((chunks): ScoredChunk[] => chunks);
const anyWeights = fc.record<FusionWeights>({
  embeddingWeight: fc.double({ min: 0, max: 1, noNaN: true }),
  textWeight: fc.double({ min: 0, max: 1, noNaN: true }),
});

describe('fuse', () => {
  it('adds the scaled sides by their weights', () => {
    const fused = fuse(side({ a: 0.9, b: 0.5, c: 0.1 }), side({ a: 2, b: 12, c: 4 }), {
      embeddingWeight: 0.4,
      textWeight: 0.6,
    });
    expect(fused.map(({ chunkId }) => chunkId)).toEqual(['b', 'a', 'c']);
    expect(fused[0]?.score).toBeCloseTo(0.4 * 0.5 + 0.6, 10);
    expect(fused[1]?.score).toBeCloseTo(0.4, 10);
    expect(fused[2]?.score).toBeCloseTo(0.6 * 0.2, 10);
  });

  it('reads weights as a ratio', () => {
    const dense = side({ a: 1, b: 0 });
    const lexical = side({ a: 0, b: 1, c: 0.5 });
    expect(fuse(dense, lexical, { embeddingWeight: 3, textWeight: 6 })).toEqual(
      fuse(dense, lexical, { embeddingWeight: 1, textWeight: 2 }),
    );
  });

  it('counts a missing score as the lowest of its side', () => {
    const weights = { embeddingWeight: 0.5, textWeight: 0.5 };
    const fused = asMap(fuse(side({ a: 0.8, b: 0.2 }), side({ c: 9, a: 3 }), weights));
    expect(fused).toEqual(
      new Map([
        ['a', 0.5],
        ['c', 0.5],
        ['b', 0],
      ]),
    );
  });

  it('uses one side alone when the other is empty, whatever the weights', () => {
    const only = side({ a: 4, b: 3, c: 2 });
    const expected = new Map([
      ['a', 1],
      ['b', 0.5],
      ['c', 0],
    ]);
    expect(asMap(fuse(only, [], { embeddingWeight: 0, textWeight: 1 }))).toEqual(expected);
    expect(asMap(fuse([], only, { embeddingWeight: 1, textWeight: 0 }))).toEqual(expected);
    expect(fuse([], [], { embeddingWeight: 1, textWeight: 1 })).toEqual([]);
  });

  it('stays within 0 and 1 and gives every chunk once, best first', () => {
    fc.assert(
      fc.property(anySide, anySide, anyWeights, (dense, lexical, weights) => {
        const fused = fuse(dense, lexical, weights);
        const ids = fused.map(({ chunkId }) => chunkId);
        expect(new Set(ids)).toEqual(new Set([...dense, ...lexical].map(({ chunkId }) => chunkId)));
        expect(new Set(ids).size).toBe(ids.length);
        fused.forEach(({ score }, position) => {
          expect(score).toBeGreaterThanOrEqual(0);
          expect(score).toBeLessThanOrEqual(fused[position - 1]?.score ?? 1);
        });
      }),
    );
  });

  it('never ranks a chunk below one that it beats on both sides', () => {
    fc.assert(
      fc.property(anySide, anySide, anyWeights, (dense, lexical, weights) => {
        const [inDense, inLexical] = [asMap(dense), asMap(lexical)];
        const lowest = (scores: Map<string, number>): number => Math.min(...scores.values());
        const at = (scores: Map<string, number>, id: string): number => scores.get(id) ?? lowest(scores);
        const hasBoth = (id: string): boolean => inDense.has(id) && inLexical.has(id);
        const fused = fuse(dense, lexical, weights).filter(({ chunkId }) => hasBoth(chunkId));
        for (const one of fused) {
          for (const other of fused) {
            const wins =
              at(inDense, one.chunkId) >= at(inDense, other.chunkId) &&
              at(inLexical, one.chunkId) >= at(inLexical, other.chunkId);
            if (wins) expect(one.score).toBeGreaterThanOrEqual(other.score);
          }
        }
      }),
    );
  });

  it('never lowers a chunk whose score on one side rises', () => {
    fc.assert(
      fc.property(anySide, anySide, fc.integer({ min: 1, max: 60 }), (dense, lexical, rise) => {
        const weights = { embeddingWeight: 0.4, textWeight: 0.6 };
        const before = asMap(fuse(dense, lexical, weights));
        for (const raised of dense) {
          const moved = dense.map((chunk) => (chunk === raised ? { ...chunk, score: chunk.score + rise } : chunk));
          const now = asMap(fuse(moved, lexical, weights)).get(raised.chunkId) ?? Number.NaN;
          // Equal scores all count as the highest: leaving such a tie upwards changes nothing for the one that leaves.
          expect(now).toBeGreaterThanOrEqual((before.get(raised.chunkId) ?? 0) - 1e-9);
        }
      }),
    );
  });

  it('does not depend on the order of its input', () => {
    fc.assert(
      fc.property(anySide, anySide, anyWeights, (dense, lexical, weights) => {
        expect(fuse([...dense].reverse(), [...lexical].reverse(), weights)).toEqual(fuse(dense, lexical, weights));
      }),
    );
  });

  it('does not depend on the scale or origin of a side', () => {
    const scale = fc.record({ times: fc.integer({ min: 1, max: 40 }), plus: fc.integer({ min: -100, max: 100 }) });
    const sides = fc.record({ dense: anySide, lexical: anySide });
    fc.assert(
      fc.property(sides, anyWeights, scale, ({ dense, lexical }, weights, { times, plus }) => {
        const moved = lexical.map(({ chunkId, score }) => ({ chunkId, score: score * times + plus }));
        const expected = asMap(fuse(dense, lexical, weights));
        for (const { chunkId, score } of fuse(dense, moved, weights)) {
          expect(score).toBeCloseTo(expected.get(chunkId) ?? Number.NaN, 6);
        }
      }),
    );
  });
});

describe('fuse of several spaces', () => {
  const weights = { embeddingWeight: 0.5, textWeight: 0.5 };
  const words = side({ a: 2, b: 0, c: 0 });

  it('takes the weighted mean of the spaces', () => {
    const first = { scores: side({ a: 0, b: 0.5, c: 1 }), weight: 0.3 };
    const second = { scores: side({ a: 0, b: 10, c: 5 }), weight: 0.1 };
    const fused = asMap(fuseSpaces([first, second], words, weights));
    expect(fused.get('a')).toBeCloseTo(0.5, 10);
    expect(fused.get('b')).toBeCloseTo(0.5 * (0.75 * 0.5 + 0.25), 10);
    expect(fused.get('c')).toBeCloseTo(0.5 * (0.75 + 0.25 * 0.5), 10);
  });

  it('judges a chunk that one space does not have by the others', () => {
    const first = { scores: side({ a: 0, b: 0.5, c: 1 }), weight: 0.25 };
    const second = { scores: side({ a: 0, b: 10 }), weight: 0.25 };
    const fused = asMap(fuseSpaces([first, second], words, weights));
    expect(fused.get('c')).toBeCloseTo(0.5, 10);
    // The best of the two that the second space has: it keeps the range that the first gives the two.
    expect(fused.get('b')).toBeCloseTo(0.5 * 0.5, 10);
  });

  it('is that of the first alone when the others have nothing', () => {
    fc.assert(
      fc.property(anySide, anySide, anyWeights, (dense, lexical, shares) => {
        const nothing = { scores: [], weight: 0.25 };
        expect(fuseSpaces([{ scores: dense, weight: 0.25 }, nothing], lexical, shares)).toEqual(
          fuse(dense, lexical, shares),
        );
      }),
    );
  });
});
