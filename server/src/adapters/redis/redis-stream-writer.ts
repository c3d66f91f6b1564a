import type { Redis } from 'ioredis';
import type {
  AnswerEvent,
  AnswerOrder,
  StreamAbout,
  StreamBuffer,
  StreamEnding,
  StreamMaking,
} from '../../chat/index.ts';
import type { Clock } from '../../kernel/index.ts';
import type { Batch, MessageBus } from '../../resilience/index.ts';
import type { RedisConnection } from './redis-connection.ts';
import { createScript } from './redis-script.ts';
import type { WonStream } from './redis-stream-takeover.ts';
import {
  endOfSuccession,
  entryIdAt,
  FIELD,
  SILENT_MS,
  type StreamEntry,
  type StreamPlace,
  streamKey,
  streamTopic,
  writeEntry,
} from './stream-entries.ts';

export interface RedisStreamWriterOptions {
  readonly redis: RedisConnection;
  readonly bus: MessageBus;
  /** Holds everything that is to be written. */
  readonly memory: StreamBuffer;
  readonly clock: Clock;
  /** The process that makes the streams. */
  readonly maker: string;
  readonly keepMs: number;
  /** Of a stream, about; a longer one is kept in memory alone. */
  readonly maxBytes: number;
}

export interface RedisStreamWriter {
  open(about: StreamAbout, making: StreamMaking): Promise<void>;
  /** Goes on with a stream that stands in Redis. */
  adopt(won: WonStream, onReplaced: () => void): void;
  /** Whether this process writes the stream now. */
  makes(id: string): boolean;
  /** Resolves once it is written, or cannot be written now. */
  append(id: string, batch: Batch<AnswerEvent>): Promise<void>;
  finish(id: string, ending: StreamEnding): Promise<void>;
  /** False: nobody could go on with it, and it ends like this; or Redis is away. */
  handOver(id: string, ending: StreamEnding): Promise<boolean>;
  /** To be called now and then: streams that say nothing for a while are kept. */
  beat(): void;
}

/** An entry of few characters is a piece of a word: this is far more than `maxBytes` lets through. */
const MOST_ENTRIES = 100_000;
const ENTRY_BYTES = 64;
const KEPT_AT_ONCE = 500;
/** What Redis says to entries of a maker that was replaced. */
const OUTDATED = /equal or smaller/;

/** Unless another maker has come after this one. */
const WRITE_ANEW = createScript(`
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
if last and tonumber(string.match(last[1], '^%d+')) >= tonumber(ARGV[1]) then return 0 end
redis.call('DEL', KEYS[1])
for i = 5, #ARGV do redis.call('XADD', KEYS[1], ARGV[2], ARGV[3], ARGV[i]) end
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 1`);

type LastEntry = Extract<StreamEntry, { readonly type: 'ending' | 'left' }>;

interface Replica {
  readonly about: StreamAbout;
  readonly order: AnswerOrder | null;
  readonly onReplaced: () => void;
  place: StreamPlace;
  pending: StreamEntry[];
  ending: LastEntry | null;
  bytes: number;
  /** Redis lacks some of it, or it is not known what it has: all is written again. */
  isTorn: boolean;
}

/** Copies streams of this process to Redis. What Redis missed or lost is written again, from the start, when it is there. */
export function createRedisStreamWriter(options: RedisStreamWriterOptions): RedisStreamWriter {
  const { redis, bus, memory, clock, maker, keepMs, maxBytes } = options;
  const { settings } = redis;
  const replicas = new Map<string, Replica>();
  const due = new Set<string>();
  let flushing: Promise<void> | null = null;

  redis.onUp(() => {
    for (const [id, { isTorn }] of replicas) if (isTorn) due.add(id);
    void flush();
  });

  /** All streams that have something new go in one message, and what comes meanwhile in the next. */
  async function flush(): Promise<void> {
    flushing ??= new Promise<void>((resolve) => setImmediate(resolve)).then(async () => {
      const ids = [...due];
      due.clear();
      flushing = null;
      await Promise.all([write(ids.filter(isWhole)), ...ids.filter((id) => !isWhole(id)).map(rewrite)]);
    });
    await flushing;
  }

  function isWhole(id: string): boolean {
    return replicas.get(id)?.isTorn !== true;
  }

  async function write(ids: readonly string[]): Promise<void> {
    const parts = ids.flatMap((id) => {
      const replica = replicas.get(id);
      if (replica === undefined) return [];
      return [{ id, key: keyOf(replica), entryId: entryIdAt(replica.place), entries: replica.pending.splice(0) }];
    });
    if (parts.every(({ entries }) => entries.length === 0)) return;
    const added = await redis.ask<Results | null>(
      'stream_append',
      (client) => {
        const steps = client.pipeline();
        for (const { key, entryId, entries } of parts) {
          for (const entry of entries) {
            steps.xadd(key, 'NOMKSTREAM', 'MAXLEN', '~', MOST_ENTRIES, entryId, ...writeEntry(entry));
          }
        }
        return allOf(steps.exec(), OUTDATED);
      },
      () => null,
    );
    let place = 0;
    for (const { id, entries } of parts) {
      const results = added?.slice(place, place + entries.length) ?? [];
      place += entries.length;
      if (results.some(([error]) => error !== null)) replaced(id);
      else if (results.length === entries.length && results.every(([, entryId]) => entryId !== null)) {
        wrote(id);
      } else await tore(id);
    }
  }

  async function tore(id: string): Promise<void> {
    const replica = replicas.get(id);
    if (replica === undefined) return;
    replica.isTorn = true;
    if (redis.state() === 'up') await rewrite(id);
  }

  async function rewrite(id: string): Promise<void> {
    const replica = replicas.get(id);
    if (replica === undefined || redis.state() === 'away') return;
    // What comes meanwhile may be written twice: readers go by the numbers.
    replica.pending = [];
    const said = await wholeOf(id);
    const { about, order, ending } = replica;
    const entries: StreamEntry[] = [{ type: 'about', about, maker }];
    if (order !== null) entries.push({ type: 'order', order });
    if (said !== null) entries.push({ type: 'batch', batch: said });
    if (ending !== null) entries.push(ending);
    const outcome = await redis.ask<unknown>(
      'stream_write',
      (client) => writeAnew(client, replica, entries),
      () => null,
    );
    replica.isTorn = outcome !== WRITTEN;
    if (outcome === WRITTEN) wrote(id);
    else if (outcome !== null) replaced(id);
  }

  function writeAnew(client: Redis, replica: Replica, entries: readonly StreamEntry[]): Promise<unknown> {
    replica.place = { ...replica.place, writing: replica.place.writing + 1 };
    const { place } = replica;
    const texts = entries.map((entry) => writeEntry(entry)[1]);
    return WRITE_ANEW.run(client, {
      keys: [keyOf(replica)],
      args: [endOfSuccession(place), entryIdAt(place), FIELD, Math.max(keepMs, SILENT_MS), ...texts],
    });
  }

  function replaced(id: string): void {
    const replica = replicas.get(id);
    replicas.delete(id);
    replica?.onReplaced();
  }

  /** Everything that the stream has said so far; null: nothing. */
  async function wholeOf(id: string): Promise<Batch<AnswerEvent> | null> {
    const replica = replicas.get(id);
    if (replica === undefined || replica.bytes === 0) return null;
    const reading = (await memory.find(replica.about))?.read()[Symbol.asyncIterator]();
    try {
      return (await reading?.next())?.value ?? null;
    } catch {
      return null;
    } finally {
      await reading?.return?.();
    }
  }

  function wrote(id: string): void {
    bus.publish(streamTopic(id), '');
    const replica = replicas.get(id);
    if (replica?.ending === undefined || replica.ending === null || replica.pending.length > 0) return;
    replicas.delete(id);
    if (keepMs < SILENT_MS && replica.ending.type === 'ending') {
      const expire = (client: Redis) => client.pexpire(keyOf(replica), Math.max(1, keepMs));
      void redis.ask<unknown>('stream_keep', expire, () => null);
    }
  }

  function keyOf({ about }: Replica): string {
    return streamKey(settings, about);
  }

  async function keepAlive(kept: readonly Replica[]): Promise<void> {
    const results = await redis.ask<Results>(
      'stream_keep',
      (client) => {
        const steps = client.pipeline();
        for (const replica of kept) steps.pexpire(keyOf(replica), Math.max(keepMs, SILENT_MS));
        return allOf(steps.exec());
      },
      () => [],
    );
    for (const [place, [, isThere]] of results.entries()) if (isThere === 0) await tore(kept[place]?.about.id ?? '');
  }

  function drop(replica: Replica): void {
    replicas.delete(replica.about.id);
    void redis.ask<unknown>(
      'stream_drop',
      (client) => client.del(keyOf(replica)),
      () => null,
    );
  }

  function end(id: string, entryOf: (replica: Replica) => LastEntry): Promise<void> {
    return change(id, (replica) => {
      replica.ending = entryOf(replica);
      if (redis.state() === 'up') replica.pending.push(replica.ending);
      else replica.isTorn = true;
    });
  }

  async function change(id: string, act: (replica: Replica) => void): Promise<void> {
    const replica = replicas.get(id);
    if (replica === undefined) return;
    act(replica);
    if (redis.state() === 'away') return;
    due.add(id);
    await flush();
  }

  return {
    async open(about, making) {
      const place = { succession: 0, writing: 0 };
      const { onReplaced } = making;
      const order = making.order();
      replicas.set(about.id, { about, order, onReplaced, place, pending: [], ending: null, bytes: 0, isTorn: true });
      await change(about.id, () => {});
    },
    adopt({ about, order, told, place }, onReplaced) {
      const bytes = JSON.stringify(told).length + told.length * ENTRY_BYTES;
      replicas.set(about.id, { about, order, onReplaced, place, pending: [], ending: null, bytes, isTorn: false });
      bus.publish(streamTopic(about.id), '');
    },
    makes: (id) => replicas.has(id),
    append: (id, batch) =>
      change(id, (replica) => {
        const entry: StreamEntry = { type: 'batch', batch };
        replica.bytes += JSON.stringify(batch).length + ENTRY_BYTES;
        if (replica.bytes > maxBytes) drop(replica);
        else if (redis.state() === 'up') replica.pending.push(entry);
        else replica.isTorn = true;
      }),
    finish: (id, ending) => end(id, () => ({ type: 'ending', ending, endedAt: clock.now() })),
    async handOver(id, ending) {
      let isLeft = false;
      await end(id, ({ order }) => {
        isLeft = order !== null;
        const endedAt = clock.now();
        return isLeft ? { type: 'left', endedAt } : { type: 'ending', ending, endedAt };
      });
      return isLeft && !replicas.has(id);
    },
    beat() {
      for (const [id, { ending }] of replicas) {
        if (ending !== null && ending.endedAt + keepMs < clock.now()) replicas.delete(id);
      }
      const kept = [...replicas.values()];
      while (kept.length > 0) void keepAlive(kept.splice(0, KEPT_AT_ONCE));
    },
  };
}

/** What the script returns for a stream that was written. */
const WRITTEN = 1;

type Results = readonly (readonly [Error | null, unknown])[];

/** What every command of several gave; rejects when the connection was lost, or one failed otherwise than is allowed. */
async function allOf(executing: Promise<Results | null>, allowed?: RegExp): Promise<Results> {
  const results = await executing;
  if (results === null) throw new Error('Redis did not carry out a transaction.');
  const failed = results.find(([error]) => error !== null && allowed?.test(error.message) !== true)?.[0];
  if (failed !== undefined && failed !== null) throw failed;
  return results;
}
