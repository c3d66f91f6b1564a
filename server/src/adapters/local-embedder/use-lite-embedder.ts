import { type Embedder, type EmbedderProfile, normalise } from '../../embeddings/index.ts';
import { refuseMisfit } from './refuse-misfit.ts';
import type { Urgency } from './text-turns.ts';
import { USE_LITE_DIMENSIONS, type UseLiteModel } from './use-lite-model.ts';

export interface UseLiteEmbedderOptions {
  /** Owned by the caller, who stops it. */
  readonly model: UseLiteModel;
  /** How urgent documents are. Default `training`. */
  readonly documents?: Exclude<Urgency, 'query'>;
}

/**
 * `local/use-lite`: Universal Sentence Encoder Lite itself. English; reads the first 85 words or so of a text, so
 * callers cut windows by its profile. Slower than `local/static-en` by two orders of magnitude.
 */
export function createUseLiteEmbedder({ model, documents = 'training' }: UseLiteEmbedderOptions): Embedder {
  const profile: EmbedderProfile = {
    id: 'local/use-lite',
    dimensions: USE_LITE_DIMENSIONS,
    version: '1',
    maxTextsPerCall: 32,
    // The model takes turns by itself.
    maxConcurrentCalls: 16,
    fusionWeight: 0.4,
    window: { words: 60, step: 45 },
    local: true,
  };
  return {
    profile,
    async doEmbed(texts, { purpose, dimensions, signal }) {
      refuseMisfit(profile, { texts, dimensions });
      const vectors = await model.embed(texts, { urgency: purpose === 'query' ? 'query' : documents, signal });
      return { vectors: vectors.map(normalise), inputTokens: countWords(texts) };
    },
    async start() {},
    async stop() {},
  };
}

function countWords(texts: readonly string[]): number {
  return texts.reduce((sum, text) => sum + (text.match(/\S+/g)?.length ?? 0), 0);
}
