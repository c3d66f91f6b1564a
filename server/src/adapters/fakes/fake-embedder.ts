import { createHash } from 'node:crypto';
import { type Embedder, type EmbedderProfile, type EmbeddingPurpose, normalise } from '../../embeddings/index.ts';
import { AppError } from '../../kernel/index.ts';

export interface FakeEmbedderOptions {
  readonly dimensions?: number;
  readonly profile?: Partial<EmbedderProfile>;
  /** Thrown by the calls to come, one each, in order; null lets that call succeed. */
  readonly failures?: readonly (Error | null)[];
  /** Awaited inside every call, before it answers: a test may hold calls back here. */
  readonly hold?: (texts: readonly string[]) => Promise<void>;
}

export interface FakeEmbedderCall {
  readonly texts: readonly string[];
  readonly purpose: EmbeddingPurpose;
  readonly dimensions: number | undefined;
}

export interface FakeEmbedder extends Embedder {
  readonly calls: readonly FakeEmbedderCall[];
  /** Most calls that were under way at once. */
  mostAtOnce(): number;
}

/** Deterministic vectors without a model: each word is a pseudo-random direction, a text the sum of its words. */
export function createFakeEmbedder(options: FakeEmbedderOptions = {}): FakeEmbedder {
  const calls: FakeEmbedderCall[] = [];
  const failures = [...(options.failures ?? [])];
  let running = 0;
  let most = 0;
  const profile: EmbedderProfile = {
    id: 'fake/words',
    dimensions: options.dimensions ?? 32,
    version: '1',
    maxTextsPerCall: 64,
    maxConcurrentCalls: 4,
    fusionWeight: 0.4,
    window: { words: 80, step: 60 },
    local: true,
    ...options.profile,
  };

  async function answer(texts: readonly string[], dimensions: number, signal: AbortSignal | undefined) {
    await abortedOr(options.hold?.(texts) ?? Promise.resolve(), signal);
    const failure = failures.shift();
    if (failure) throw failure;
    const words = texts.map((text) => text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []);
    return {
      vectors: words.map((list) => vectorOf(list, dimensions)),
      inputTokens: words.reduce((sum, list) => sum + list.length, 0),
    };
  }

  return {
    profile,
    calls,
    mostAtOnce: () => most,
    async doEmbed(texts, { purpose, dimensions, signal }) {
      signal?.throwIfAborted();
      calls.push({ texts: [...texts], purpose, dimensions });
      if (texts.length > profile.maxTextsPerCall) {
        throw new AppError('embedding_failed', `The fake takes at most ${profile.maxTextsPerCall} texts in one call.`);
      }
      running += 1;
      most = Math.max(most, running);
      try {
        return await answer(texts, dimensions ?? profile.dimensions, signal);
      } finally {
        running -= 1;
      }
    },
    async start() {},
    async stop() {},
  };
}

function abortedOr(work: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  if (signal === undefined) return work;
  return new Promise((resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    work.then(resolve, reject);
  });
}

function vectorOf(words: readonly string[], dimensions: number): Float32Array {
  const sum = new Float32Array(dimensions);
  for (const word of words) {
    for (let start = 0; start < dimensions; start += 32) {
      const bytes = createHash('sha256').update(`${start}:${word}`).digest();
      for (const [offset, byte] of bytes.subarray(0, dimensions - start).entries()) {
        sum[start + offset] = (sum[start + offset] ?? 0) + byte - 127.5;
      }
    }
  }
  return normalise(sum);
}
