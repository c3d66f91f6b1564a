import { type Embedder, type EmbedderProfile, normalise } from '../../embeddings/index.ts';
import { refuseMisfit } from './refuse-misfit.ts';
import { USE_LITE_DIMENSIONS, type UseLiteModel } from './use-lite-model.ts';

/** Measured: eight are as fast a text as more, and let queries in between. */
const TEXTS_PER_WORKER_CALL = 8;

export interface UseLiteEmbedderOptions {
  /** Owned by the caller, who stops it. */
  readonly model: UseLiteModel;
  /** As many as the model has workers. Default 1. */
  readonly maxConcurrentCalls?: number;
}

/**
 * `local/use-lite`: Universal Sentence Encoder Lite itself. English; reads the first 85 words or so of a text, so
 * callers cut windows by its profile. Slower than `local/static-en` by three orders of magnitude.
 */
export function createUseLiteEmbedder({ model, maxConcurrentCalls = 1 }: UseLiteEmbedderOptions): Embedder {
  const profile: EmbedderProfile = {
    id: 'local/use-lite',
    dimensions: USE_LITE_DIMENSIONS,
    version: '1',
    maxTextsPerCall: 32,
    maxConcurrentCalls,
    fusionWeight: 0.4,
    window: { words: 60, step: 45 },
    local: true,
  };
  return {
    profile,
    async doEmbed(texts, { dimensions, signal }) {
      refuseMisfit(profile, { texts, dimensions });
      const options = signal === undefined ? {} : { signal };
      const vectors = await model.embed(texts, { perCall: TEXTS_PER_WORKER_CALL, ...options });
      return { vectors: vectors.map(normalise), inputTokens: countWords(texts) };
    },
    async start() {},
    async stop() {},
  };
}

function countWords(texts: readonly string[]): number {
  return texts.reduce((sum, text) => sum + (text.match(/\S+/g)?.length ?? 0), 0);
}
