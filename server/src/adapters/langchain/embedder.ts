import { type Embedder, type EmbedderProfile, type EmbeddingResult, normalise } from '../../embeddings/index.ts';
import { AppError, createDeadline } from '../../kernel/index.ts';
import type { TokenCounter } from '../../llm/index.ts';
import { abortable } from '../../resilience/index.ts';
import { invalidAnswer, toLangChainFailure } from './failures.ts';

/** Embeddings of LangChain.js, as far as they are used here. */
export interface LangChainEmbeddings {
  embedDocuments(texts: string[]): Promise<number[][]>;
  embedQuery(text: string): Promise<number[]>;
}

export interface LangChainEmbedderOptions {
  /** `langchain/<name>`. */
  readonly id: string;
  /** Names the vector space together with the id and the width. */
  readonly version: string;
  readonly embeddings: LangChainEmbeddings;
  /** LangChain.js does not tell how many tokens were read. */
  readonly counter: TokenCounter;
  readonly maxTextsPerCall: number;
  /** Weight of the vectors in the fused score, 0..1. */
  readonly fusionWeight: number;
  /** Most milliseconds for one call. Default 60,000. */
  readonly requestTimeoutMs?: number;
}

const REQUEST_TIMEOUT_MS = 60_000;

/**
 * Any embeddings of LangChain.js. The width is learnt from one call at start. Texts that hold nothing are not sent and get
 * a zero vector. LangChain.js takes no signal here: a call that is given up ends behind our back.
 */
export function createLangChainEmbedder(options: LangChainEmbedderOptions): Embedder {
  const { embeddings, counter } = options;
  let dimensions: number | null = null;

  function profile(): EmbedderProfile {
    if (dimensions === null) {
      throw new AppError(
        'configuration_invalid',
        'The width of the vectors is not known before the embedder was started.',
      );
    }
    return {
      id: options.id,
      dimensions,
      version: options.version,
      maxTextsPerCall: options.maxTextsPerCall,
      maxConcurrentCalls: 4,
      fusionWeight: options.fusionWeight,
      window: null,
      local: false,
    };
  }

  async function call(request: () => Promise<number[][]>, signal: AbortSignal | undefined): Promise<number[][]> {
    signal?.throwIfAborted();
    using deadline = createDeadline(options.requestTimeoutMs ?? REQUEST_TIMEOUT_MS);
    const either = signal === undefined ? deadline.signal : AbortSignal.any([signal, deadline.signal]);
    try {
      return await abortable(request(), either);
    } catch (error) {
      signal?.throwIfAborted();
      if (deadline.signal.aborted) {
        throw new AppError('provider_timeout', 'The embedder took too long. Try again.', { retryable: true });
      }
      throw toLangChainFailure(error);
    }
  }

  return {
    get profile() {
      return profile();
    },
    async doEmbed(texts, { purpose, dimensions: wanted, signal }): Promise<EmbeddingResult> {
      const { maxTextsPerCall, dimensions: width } = profile();
      if (texts.length > maxTextsPerCall) {
        throw new AppError('embedding_failed', `Send at most ${maxTextsPerCall} texts in one call.`);
      }
      if (wanted !== undefined && wanted !== width) throw mismatch(options.id, { wanted, width });
      signal?.throwIfAborted();
      const held = texts.filter((text) => text.trim() !== '');
      const [question] = held;
      const isQuery = purpose === 'query' && held.length === 1 && question !== undefined;
      const given =
        held.length === 0
          ? []
          : await call(
              async () => (isQuery ? [await embeddings.embedQuery(question)] : embeddings.embedDocuments(held)),
              signal,
            );
      if (!Array.isArray(given) || given.length !== held.length) throw invalidAnswer('too few or too many vectors');
      const vectors = given.map((vector) => checked(vector, { id: options.id, width }));
      let next = 0;
      return {
        vectors: texts.map((text) => (text.trim() === '' ? null : vectors[next++]) ?? new Float32Array(width)),
        inputTokens: held.reduce((sum, text) => sum + counter.count(text), 0),
      };
    },
    async start() {
      if (dimensions !== null) return;
      const [vector] = await call(async () => [await embeddings.embedQuery('width')], undefined);
      if (!Array.isArray(vector) || vector.length === 0) throw invalidAnswer('no vector');
      dimensions = vector.length;
    },
    async stop() {},
  };
}

function checked(vector: unknown, { id, width }: { readonly id: string; readonly width: number }): Float32Array {
  if (!Array.isArray(vector)) throw invalidAnswer('what is no vector');
  if (vector.length !== width) throw mismatch(id, { wanted: width, width: vector.length });
  const made = Float32Array.from(vector, Number);
  if (!made.every(Number.isFinite)) throw invalidAnswer('a vector with something else than numbers');
  return normalise(made);
}

function mismatch(id: string, { wanted, width }: { readonly wanted: number; readonly width: number }): AppError {
  return new AppError(
    'embedding_dimension_mismatch',
    `"${id}" makes vectors of ${width} dimensions, not ${wanted}. Set its width in the options of its class.`,
  );
}
