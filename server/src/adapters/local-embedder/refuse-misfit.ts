import type { EmbedderProfile } from '../../embeddings/index.ts';
import { AppError } from '../../kernel/index.ts';

/** Throws when a call asks for more texts than the embedder takes at once, or for another width than it has. */
export function refuseMisfit(
  profile: EmbedderProfile,
  { texts, dimensions }: { readonly texts: readonly string[]; readonly dimensions: number | undefined },
): void {
  if (texts.length > profile.maxTextsPerCall) {
    throw new AppError('embedding_failed', `${profile.id} takes at most ${profile.maxTextsPerCall} texts in one call.`);
  }
  if (dimensions !== undefined && dimensions !== profile.dimensions) {
    throw new AppError(
      'embedding_dimension_mismatch',
      `${profile.id} gives vectors of ${profile.dimensions} dimensions, not ${dimensions}. Leave "dimensions" out.`,
      { param: 'dimensions' },
    );
  }
}
