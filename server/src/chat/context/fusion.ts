import type { ScoredChunk } from '../../vector-store/index.ts';

/** Shares of the two sides; only their ratio counts. */
export interface FusionWeights {
  readonly embeddingWeight: number;
  readonly textWeight: number;
}

/** What one space of vectors says. */
export interface DenseScores {
  readonly scores: readonly ScoredChunk[];
  /** Its part of the dense side; only the ratio to the other spaces' counts. */
  readonly weight: number;
}

/**
 * Joins the two sides of a search into one score from 0 to 1 a chunk, best first, ties by chunk id: the convex sum of
 * min-max scaled scores over the union of both (Bruch, Gai and Ingber 2023, "An Analysis of Fusion Functions for Hybrid
 * Retrieval"). The dense side is the weighted mean of its spaces, the first of which has every chunk: one that another
 * space does not have (yet) is judged by the others. A chunk without a score on one side counts as that side's lowest, so callers complete the scores first.
 * When one side is empty, the other is used alone. Reciprocal rank fusion was measured and is not used: with a weak
 * embedder it falls below words alone.
 */
export function fuse(
  spaces: readonly DenseScores[],
  lexical: readonly ScoredChunk[],
  weights: FusionWeights,
): readonly ScoredChunk[] {
  const dense = blended(spaces);
  const words = scaled(lexical);
  const denseShare = shareOfDense(dense, words, weights);
  return [...new Set([...dense.keys(), ...words.keys()])]
    .map((chunkId) => {
      const score = denseShare * (dense.get(chunkId) ?? 0) + (1 - denseShare) * (words.get(chunkId) ?? 0);
      return { chunkId, score: Math.min(1, score) };
    })
    .sort((one, other) => other.score - one.score || (one.chunkId < other.chunkId ? -1 : 1));
}

type Scores = ReadonlyMap<string, number>;

function shareOfDense(dense: Scores, words: Scores, { embeddingWeight, textWeight }: FusionWeights): number {
  if (words.size === 0) return 1;
  if (dense.size === 0) return 0;
  const total = embeddingWeight + textWeight;
  return total > 0 ? embeddingWeight / total : 0.5;
}

function blended(spaces: readonly DenseScores[]): Scores {
  const [first = new Map<string, number>(), ...others] = spaces.map(({ scores }) => scaled(scores));
  const means = new Map([...first].map(([chunkId, mean]) => [chunkId, { mean, weight: spaces[0]?.weight ?? 0 }]));
  for (const [position, scores] of others.entries()) {
    const weight = spaces[position + 1]?.weight ?? 0;
    for (const [chunkId, score] of asOf(first, scores)) {
      const before = means.get(chunkId) ?? { mean: score, weight: 0 };
      const total = before.weight + weight;
      const part = total > 0 ? weight / total : 0;
      means.set(chunkId, { mean: before.mean + (score - before.mean) * part, weight: total });
    }
  }
  return new Map([...means].map(([chunkId, { mean }]) => [chunkId, mean]));
}

/** Few chunks may have scores, and the best of few is not the best of all: they keep the range that the first space gives them. */
function asOf(first: Scores, scores: Scores): Scores {
  const range = [...scores.keys()].flatMap((chunkId) => first.get(chunkId) ?? []);
  if (range.length === 0) return scores;
  const lowest = range.reduce((one, other) => Math.min(one, other));
  const highest = range.reduce((one, other) => Math.max(one, other));
  return new Map([...scores].map(([chunkId, score]) => [chunkId, lowest + score * (highest - lowest)]));
}

/** Lowest to 0, highest to 1; all 1 when they are equal. */
function scaled(side: readonly ScoredChunk[]): Scores {
  let lowest = Number.POSITIVE_INFINITY;
  let highest = Number.NEGATIVE_INFINITY;
  for (const { score } of side) {
    lowest = Math.min(lowest, score);
    highest = Math.max(highest, score);
  }
  const range = highest - lowest;
  return new Map(side.map(({ chunkId, score }) => [chunkId, range > 0 ? (score - lowest) / range : 1]));
}
