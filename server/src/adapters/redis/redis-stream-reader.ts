import {
  type AnswerEvent,
  type KeptStream,
  type StreamEnding,
  type StreamName,
  streamUnavailable,
} from '../../chat/index.ts';
import { AppError, type Clock } from '../../kernel/index.ts';
import type { Batch, MessageBus } from '../../resilience/index.ts';
import type { RedisConnection } from './redis-connection.ts';
import { makerKey, readEntry, type StreamEntry, streamKey, streamTopic } from './stream-entries.ts';

export interface RedisStreamReaderOptions {
  readonly redis: RedisConnection;
  readonly bus: MessageBus;
  readonly clock: Clock;
  readonly keepMs: number;
  /** This process, as maker of streams. */
  readonly maker: string;
  /** Whether this process writes the stream now: one that names it, and that it does not write, is abandoned. */
  readonly makes: (id: string) => boolean;
}

/** Streams that other processes make or made. */
export interface RedisStreamReader {
  /** Null: there is none. Rejects with `stream_unavailable` while Redis is away. */
  find(name: StreamName): Promise<KeptStream | null>;
}

/** Messages may be lost: then a stream is looked at after this. */
const POLL_MS = 500;
/** How long a reader waits for a stream whose maker gives no sign of life, beyond the seconds that a sign counts. */
const DEAD_MS = 3_000;
/** How long for a stream that is gone, or a Redis that is away. */
const PATIENCE_MS = 8_000;
const ENTRIES_AT_ONCE = 200;

type Found = readonly (readonly [id: string, entry: StreamEntry | null])[];

export function createRedisStreamReader(options: RedisStreamReaderOptions): RedisStreamReader {
  const { redis, bus, clock, keepMs } = options;
  const { settings } = redis;

  /** The entries after a cursor, and whether the maker lives; null: Redis is away. */
  function look(name: StreamName, at: { readonly cursor: string; readonly maker: string }) {
    return redis.ask<{ readonly found: Found; readonly isAlive: boolean; readonly isThere: boolean } | null>(
      'stream_read',
      async (client) => {
        const key = streamKey(settings, name);
        const [streams, alive, there] = await Promise.all([
          client.xread('COUNT', ENTRIES_AT_ONCE, 'STREAMS', key, at.cursor),
          client.exists(makerKey(settings, at.maker)),
          client.exists(key),
        ]);
        const found = (streams?.[0]?.[1] ?? []).map(([entryId, fields]) => [entryId, readEntry(fields)] as const);
        const isMade = at.maker === options.maker ? options.makes(name.id) : alive === 1;
        return { found, isAlive: isMade && there === 1, isThere: there === 1 };
      },
      () => null,
    );
  }

  async function* read(name: StreamName, first: string, signal?: AbortSignal): AsyncGenerator<Batch<AnswerEvent>> {
    const news = createNews(bus, name.id);
    try {
      await news.ready;
      let maker = first;
      let cursor = '0-0';
      let next = 1;
      let isLeft = false;
      let missedSince: number | null = null;
      for (;;) {
        signal?.throwIfAborted();
        const looked = await look(name, { cursor, maker });
        for (const [entryId, entry] of looked?.found ?? []) {
          cursor = entryId;
          if (entry?.type === 'batch') {
            const fresh = freshPart(entry.batch, next);
            if (fresh !== null) yield fresh;
            next = Math.max(next, entry.batch.first + entry.batch.items.length);
          } else if (entry?.type === 'ending') {
            end(entry.ending);
            return;
          } else if (entry?.type === 'maker' || entry?.type === 'about') {
            if (entry.maker !== maker) missedSince = null;
            maker = entry.maker;
            isLeft = false;
          } else if (entry?.type === 'left') isLeft = true;
        }
        if (isLeft && (looked?.found.length ?? 0) < ENTRIES_AT_ONCE) throw broken();
        if (looked?.isAlive === true) missedSince = null;
        else missedSince ??= clock.now();
        // What has come already needs no maker.
        if (looked !== null && looked.found.length > 0) continue;
        const patienceMs = looked?.isThere === true ? DEAD_MS : PATIENCE_MS;
        if (missedSince !== null && clock.now() - missedSince >= patienceMs) throw broken();
        await news.wait(clock, signal);
      }
    } finally {
      news.close();
    }
  }

  return {
    async find(name) {
      const ends = await redis.ask<{ readonly first: StreamEntry | null; readonly last: StreamEntry | null }>(
        'stream_find',
        async (client) => {
          const key = streamKey(settings, name);
          const [[first], [last]] = await Promise.all([
            client.xrange(key, '-', '+', 'COUNT', 1),
            client.xrevrange(key, '+', '-', 'COUNT', 1),
          ]);
          return { first: readEntry(first?.[1] ?? []), last: readEntry(last?.[1] ?? []) };
        },
        () => Promise.reject(streamUnavailable()),
      );
      if (ends.first?.type !== 'about') return null;
      const { about, maker } = ends.first;
      const isOver = ends.last?.type === 'ending';
      if (ends.last?.type === 'ending' && ends.last.endedAt + keepMs < clock.now()) return null;
      return { about, isOver, read: ({ signal } = {}) => read(name, maker, signal) };
    },
  };
}

/** What of a batch was not given yet; null: nothing. A stream that was written again begins anew. */
function freshPart({ first, items }: Batch<AnswerEvent>, next: number): Batch<AnswerEvent> | null {
  if (first > next) throw broken();
  if (first + items.length <= next) return null;
  return { first: next, items: items.slice(next - first) };
}

function end(ending: StreamEnding): void {
  if (ending.type === 'complete') return;
  throw new AppError(ending.code, ending.message, { retryable: ending.retryable });
}

function broken(): AppError {
  return new AppError('stream_interrupted', 'This is all there is: the answer broke off here. Ask again.', {
    retryable: true,
  });
}

/** Tells when there is something new, also when that came before the question. */
function createNews(bus: MessageBus, id: string) {
  let hasNews = false;
  let wake = (): void => {};
  const told = (): void => {
    hasNews = true;
    wake();
  };
  const subscription = bus.subscribe(streamTopic(id), { message: told, gap: told });
  return {
    ready: subscription.ready,
    close: () => subscription.close(),
    /** Rejects with the signal's reason. */
    async wait(clock: Clock, signal?: AbortSignal): Promise<void> {
      const waited = new AbortController();
      const leave = (): void => wake();
      signal?.addEventListener('abort', leave, { once: true });
      const news = new Promise<void>((resolve) => {
        wake = resolve;
        if (hasNews || signal?.aborted) resolve();
      });
      await Promise.race([news, clock.sleep(POLL_MS, waited.signal).catch(() => {})]);
      hasNews = false;
      waited.abort();
      signal?.removeEventListener('abort', leave);
      signal?.throwIfAborted();
    },
  };
}
