import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { Posting } from './postgres-lexical-bytes.ts';
import { placeOf, type TermHits, unfoldedHits } from './postgres-lexical-hits.ts';
import { bestOf, type LexicalState, scoresOf } from './postgres-lexical-scoring.ts';

const neverPause = async (): Promise<void> => {};

/** Of each chunk, how often the term is in it (0: not at all). */
const frequencies = (chunks: number) => fc.array(fc.nat(3), { minLength: chunks, maxLength: chunks });

const states = fc.integer({ min: 1, max: 120 }).chain((chunks) =>
  fc
    .record({
      lengths: fc.array(fc.integer({ min: 3, max: 40 }), { minLength: chunks, maxLength: chunks }),
      terms: fc.array(frequencies(chunks), { minLength: 1, maxLength: 6 }),
      removed: fc.subarray(Array.from({ length: chunks }, (_, each) => each)),
      isFolded: fc.array(fc.boolean(), { minLength: chunks, maxLength: chunks }),
    })
    .map(({ lengths, terms, removed, isFolded }): LexicalState => {
      const gone = new Set(removed.filter((chunk) => isFolded[chunk]).map(numberOf));
      const hitsOf = (term: readonly number[], folded: boolean): TermHits => {
        const postings = term.flatMap((count, chunk): Posting[] => {
          if (count === 0 || isFolded[chunk] !== folded) return [];
          const body = Array.from({ length: count }, (_, place) => place);
          return [{ chunk: numberOf(chunk), length: lengths[chunk] ?? 0, title: [], body }];
        });
        // As writers that worked side by side leave them.
        return unfoldedHits(new Map([['word', postings.reverse()]]), ['word'], 2);
      };
      const left = lengths.filter((_, chunk) => !gone.has(numberOf(chunk)));
      return {
        chunks: left.length,
        length: left.reduce((sum, each) => sum + each, 0),
        removed: gone,
        terms: terms.map((term) => ({ folded: hitsOf(term, true), unfolded: hitsOf(term, false) })),
      };
    }),
);

function numberOf(chunk: number): number {
  return 1 + chunk * 3;
}

/** Adds up every hit. */
function scoresOfAll({ chunks, length, terms, removed }: LexicalState): ReadonlyMap<number, number> {
  const scores = new Map<number, number>();
  for (const { folded, unfolded } of terms) {
    const hits = [folded, unfolded].flatMap((each) =>
      [...each.chunks].flatMap((chunk, at) =>
        each === folded && removed.has(chunk)
          ? []
          : [{ chunk, length: each.lengths[at] ?? 0, frequency: each.frequencies[at] ?? 0 }],
      ),
    );
    const rarity = Math.log((chunks - hits.length + 0.5) / (hits.length + 0.5));
    const weight = (rarity > 0 ? rarity : 1e-6) * 2.2;
    for (const hit of hits) {
      const norm = 1.2 * (0.25 + (0.75 * hit.length) / (length / Math.max(1, chunks)));
      scores.set(hit.chunk, (scores.get(hit.chunk) ?? 0) + (weight * hit.frequency) / (hit.frequency + norm));
    }
  }
  return scores;
}

it('finds the best chunks as if every hit had been added up', async () => {
  await fc.assert(
    fc.asyncProperty(states, fc.integer({ min: 1, max: 30 }), async (state, count) => {
      const expected = [...scoresOfAll(state)].map(([chunk, score]) => ({ chunk, score }));
      expected.sort((one, other) => other.score - one.score || one.chunk - other.chunk);
      expect(await bestOf(state, count, neverPause)).toEqual(expected.slice(0, count));
    }),
    { numRuns: 200 },
  );
});

it('gives equal chunks in the order of their numbers, the first of them when not all are wanted', async () => {
  const postings = Array.from({ length: 50 }, (_, each) => ({ chunk: 50 - each, length: 4, title: [], body: [0] }));
  const hits = unfoldedHits(new Map([['word', postings]]), ['word'], 2);
  const none = unfoldedHits(new Map(), ['word'], 2);
  const state = { chunks: 500, length: 2_000, removed: new Set([2]), terms: [{ folded: hits, unfolded: none }] };
  expect((await bestOf(state, 3, neverPause)).map(({ chunk }) => chunk)).toEqual([1, 3, 4]);
});

it('scores given chunks alike', () => {
  fc.assert(
    fc.property(states, (state) => {
      const expected = scoresOfAll(state);
      const found = scoresOf(
        state,
        Array.from({ length: 130 }, (_, each) => numberOf(each)),
      );
      expect([...found.keys()].sort()).toEqual([...expected.keys()].sort());
      for (const [chunk, score] of expected) expect(found.get(chunk)).toBeCloseTo(score, 12);
    }),
  );
});

it('finds places from any place on', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat(300)), fc.nat(310), fc.nat(300), (some, wanted, before) => {
      const chunks = Float64Array.from(some).sort();
      const expected = chunks.filter((each) => each < wanted).length;
      expect(placeOf(chunks, wanted, Math.min(before, expected))).toBe(expected);
    }),
  );
});
