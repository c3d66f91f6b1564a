import { AppError, type Clock } from '../../kernel/index.ts';
import type { Batch } from '../../resilience/index.ts';
import type { AnswerEvent } from '../ports.ts';
import type { KeptStream, StreamAbout, StreamBuffer, StreamEnding } from './ports.ts';

export interface MemoryStreamBufferOptions {
  readonly clock: Clock;
  /** How long an answer is kept after its end. Default five minutes. */
  readonly keepMs?: number;
  /** Of all answers that have ended, about. The oldest go first. Default 16 MiB. */
  readonly maxBytes?: number;
}

const KEEP_MS = 5 * 60_000;
const MAX_BYTES = 16 * 1024 ** 2;
/** What an entry costs beside its text. */
const ENTRY_BYTES = 16;
const STREAM_BYTES = 1024;

/** Pieces of text are kept as strings while the answer is made, and as their lengths in `text` after its end. */
type Entry = string | number | Exclude<AnswerEvent, { readonly type: 'text-delta' }>;

interface Kept {
  readonly about: StreamAbout;
  entries: Entry[];
  text: string;
  ending: StreamEnding | null;
  endedAt: number;
  bytes: number;
  isDropped: boolean;
  readonly waiting: Set<() => void>;
}

/** A buffer in this process. Nothing runs by the clock: what has expired goes when something else comes or is asked for. */
export function createMemoryStreamBuffer(options: MemoryStreamBufferOptions): StreamBuffer {
  const { clock, keepMs = KEEP_MS, maxBytes = MAX_BYTES } = options;
  const live = new Map<string, Kept>();
  /** In the order in which they ended. */
  const ended = new Map<string, Kept>();
  let endedBytes = 0;

  function tidy(): void {
    const oldest = clock.now() - keepMs;
    for (const [id, kept] of ended) {
      if (kept.endedAt >= oldest && endedBytes <= maxBytes) return;
      ended.delete(id);
      endedBytes -= kept.bytes;
      kept.isDropped = true;
      wake(kept);
    }
  }

  function finish(id: string, ending: StreamEnding): void {
    const kept = live.get(id);
    if (kept === undefined) return;
    live.delete(id);
    pack(kept);
    kept.ending = ending;
    kept.endedAt = clock.now();
    ended.set(id, kept);
    endedBytes += kept.bytes;
    wake(kept);
    tidy();
  }

  return {
    async open(about) {
      tidy();
      live.set(about.id, {
        about,
        entries: [],
        text: '',
        ending: null,
        endedAt: 0,
        bytes: STREAM_BYTES,
        isDropped: false,
        waiting: new Set(),
      });
    },
    async append(id, { items }) {
      const kept = live.get(id);
      if (kept === undefined) return;
      for (const item of items) kept.entries.push(item.type === 'text-delta' ? item.text : item);
      wake(kept);
    },
    finish: async (id, ending) => finish(id, ending),
    async handOver(id, ending) {
      finish(id, ending);
      return false;
    },
    async find({ tenantId, id }) {
      tidy();
      const kept = live.get(id) ?? ended.get(id);
      return kept?.about.tenantId === tenantId ? toKeptStream(kept) : null;
    },
    seesOthers: () => true,
    /** Who makes a stream in memory lives as long as that. */
    takeUp: async () => null,
  };
}

function wake({ waiting }: Kept): void {
  for (const resolve of waiting) resolve();
  waiting.clear();
}

function pack(kept: Kept): void {
  kept.text = kept.entries.filter((entry) => typeof entry === 'string').join('');
  kept.entries = kept.entries.map((entry) => (typeof entry === 'string' ? entry.length : entry));
  kept.bytes += kept.text.length * 2 + kept.entries.length * ENTRY_BYTES;
  for (const entry of kept.entries) if (typeof entry === 'object') kept.bytes += JSON.stringify(entry).length * 2;
}

function toKeptStream(kept: Kept): KeptStream {
  return { about: kept.about, isOver: kept.ending !== null, read: ({ signal } = {}) => readKept(kept, signal) };
}

async function* readKept(kept: Kept, signal: AbortSignal | undefined): AsyncGenerator<Batch<AnswerEvent>> {
  let given = 0;
  let textGiven = 0;
  for (;;) {
    signal?.throwIfAborted();
    if (kept.isDropped) throw new AppError('stream_interrupted', 'This stream is no longer kept.', { retryable: true });
    if (given < kept.entries.length) {
      const first = given + 1;
      const items: AnswerEvent[] = [];
      for (; given < kept.entries.length; given += 1) {
        const entry = kept.entries[given] as Entry;
        const event = toEvent(entry, kept.text, textGiven);
        if (event.type === 'text-delta') textGiven += event.text.length;
        items.push(event);
      }
      yield { first, items };
      continue;
    }
    if (kept.ending !== null) {
      if (kept.ending.type === 'complete') return;
      const { code, message, retryable } = kept.ending;
      throw new AppError(code, message, { retryable });
    }
    await changed(kept, signal);
  }
}

function toEvent(entry: Entry, text: string, at: number): AnswerEvent {
  if (typeof entry === 'string') return { type: 'text-delta', text: entry };
  return typeof entry === 'number' ? { type: 'text-delta', text: text.slice(at, at + entry) } : entry;
}

function changed({ waiting }: Kept, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      waiting.delete(done);
      signal?.removeEventListener('abort', done);
      resolve();
    };
    waiting.add(done);
    signal?.addEventListener('abort', done, { once: true });
  });
}
