import { AppError } from '../kernel/index.ts';
import type { EmbeddingResult } from './ports.ts';
import { dot, normalise } from './unit-vectors.ts';

/**
 * The result with every vector at length 1. Throws `embedding_failed` when vectors are missing or hold what is no
 * number, `embedding_dimension_mismatch` when they have another width than was asked for.
 */
export function checkResult(
  result: EmbeddingResult,
  expected: { readonly count: number; readonly dimensions: number },
): EmbeddingResult {
  const { count, dimensions } = expected;
  if (result.vectors.length !== count) {
    throw new AppError('embedding_failed', `The embedder gave ${result.vectors.length} vectors for ${count} texts.`);
  }
  const misfit = result.vectors.find((vector) => vector.length !== dimensions);
  if (misfit !== undefined) {
    throw new AppError(
      'embedding_dimension_mismatch',
      `The embedder gave vectors of ${misfit.length} dimensions where ${dimensions} were expected. Check the embedding model and its dimensions.`,
    );
  }
  if (result.vectors.some((vector) => !Number.isFinite(dot(vector, vector)))) {
    throw new AppError('embedding_failed', 'The embedder gave a vector that holds no numbers.');
  }
  return { ...result, vectors: result.vectors.map(normalise) };
}
