import { AppError } from '../../kernel/index.ts';
import type { Namespace, ScoredChunk } from '../../vector-store/index.ts';

/** Vectors of some chunks of a namespace, from the truth. Chunks that are unknown are left out. */
export type ReadVectors = (
  namespace: Namespace,
  chunkIds: readonly string[],
) => Promise<readonly { readonly chunkId: string; readonly windows: readonly Float32Array[] }[]>;

/** The chunks that the truth still has, by the exact cosine of their best window; best first, ties by chunk id. */
export async function exactScores(
  readVectors: ReadVectors,
  namespace: Namespace,
  { vector, chunkIds }: { readonly vector: Float32Array; readonly chunkIds: readonly string[] },
): Promise<ScoredChunk[]> {
  if (chunkIds.length === 0) return [];
  const found = await readVectors(namespace, chunkIds);
  return found
    .flatMap(({ chunkId, windows }) => {
      const scores = windows.map((window) => cosine(window, vector)).filter((score) => score !== null);
      return scores.length === 0 ? [] : [{ chunkId, score: Math.max(...scores) }];
    })
    .sort(byScore);
}

export function byScore(one: ScoredChunk, other: ScoredChunk): number {
  return other.score - one.score || (one.chunkId < other.chunkId ? -1 : 1);
}

/** Vectors that hold nothing are neither kept nor searched for. */
export function isUsable(vector: Float32Array): boolean {
  return vector.every(Number.isFinite) && vector.some((component) => component !== 0);
}

export function widthMismatch(): AppError {
  return new AppError('embedding_dimension_mismatch', 'The vectors of one namespace must have the same dimensions.');
}

/** Null when either holds nothing to compare. */
function cosine(one: Float32Array, other: Float32Array): number | null {
  if (one.length !== other.length) throw widthMismatch();
  let product = 0;
  let ownSquare = 0;
  let otherSquare = 0;
  for (let index = 0; index < one.length; index += 1) {
    const component = one[index] ?? 0;
    const against = other[index] ?? 0;
    product += component * against;
    ownSquare += component ** 2;
    otherSquare += against ** 2;
  }
  const length = Math.sqrt(ownSquare * otherSquare);
  return Number.isFinite(product) && length > 0 ? Math.max(-1, Math.min(1, product / length)) : null;
}
