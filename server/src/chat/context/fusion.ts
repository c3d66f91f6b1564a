import type { ScoredChunk } from '../../vector-store/index.ts';

/** Shares of the two sides; only their ratio counts. */
export interface FusionWeights {
  readonly embeddingWeight: number;
  readonly textWeight: number;
}

/**
 * Joins the two sides of a search into one score from 0 to 1 a chunk, best first, ties by chunk id: the convex sum of
 * min-max scaled scores over the union of both (Bruch, Gai and Ingber 2023, "An Analysis of Fusion Functions for Hybrid
 * Retrieval"). A chunk without a score on one side counts as that side's lowest, so callers complete the scores first.
 * When one side is empty, the other is used alone. Reciprocal rank fusion was measured and is not used: with a weak
 * embedder it falls below words alone.
 */
export function fuse(
  dense: readonly ScoredChunk[],
  lexical: readonly ScoredChunk[],
  weights: FusionWeights,
): readonly ScoredChunk[] {
  const denseShare = shareOfDense(dense, lexical, weights);
  const scaledDense = scaled(dense);
  const scaledLexical = scaled(lexical);
  return [...new Set([...scaledDense.keys(), ...scaledLexical.keys()])]
    .map((chunkId) => {
      const score = denseShare * (scaledDense.get(chunkId) ?? 0) + (1 - denseShare) * (scaledLexical.get(chunkId) ?? 0);
      return { chunkId, score: Math.min(1, score) };
    })
    .sort((one, other) => other.score - one.score || (one.chunkId < other.chunkId ? -1 : 1));
}

function shareOfDense(
  dense: readonly ScoredChunk[],
  lexical: readonly ScoredChunk[],
  { embeddingWeight, textWeight }: FusionWeights,
): number {
  if (lexical.length === 0) return 1;
  if (dense.length === 0) return 0;
  const total = embeddingWeight + textWeight;
  return total > 0 ? embeddingWeight / total : 0.5;
}

/** Lowest to 0, highest to 1; all 1 when they are equal. */
function scaled(side: readonly ScoredChunk[]): ReadonlyMap<string, number> {
  let lowest = Number.POSITIVE_INFINITY;
  let highest = Number.NEGATIVE_INFINITY;
  for (const { score } of side) {
    lowest = Math.min(lowest, score);
    highest = Math.max(highest, score);
  }
  const range = highest - lowest;
  return new Map(side.map(({ chunkId, score }) => [chunkId, range > 0 ? (score - lowest) / range : 1]));
}
