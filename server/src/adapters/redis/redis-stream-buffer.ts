import type { StreamBuffer } from '../../chat/index.ts';
import { createRedisStreamReader, type RedisStreamReaderOptions } from './redis-stream-reader.ts';
import { takeUpStream } from './redis-stream-takeover.ts';
import { createRedisStreamWriter, type RedisStreamWriterOptions } from './redis-stream-writer.ts';

export interface RedisStreamBuffer extends StreamBuffer {
  /** To be called every few seconds. */
  beat(): void;
}

/** The latest: what they told is forgotten in a while. */
const MOST_REPLACED = 1_000;

/** Streams of this process from memory, as without Redis, and those of others from Redis. */
export function createRedisStreamBuffer(
  options: RedisStreamWriterOptions & Omit<RedisStreamReaderOptions, 'makes'>,
): RedisStreamBuffer {
  const { memory } = options;
  const writer = createRedisStreamWriter(options);
  const makes = (id: string): boolean => writer.makes(id);
  const reader = createRedisStreamReader({ ...options, makes });
  /** What memory holds of these is not how they went on. */
  const replaced = new Set<string>();

  function leaving(id: string, onReplaced: () => void): () => void {
    return () => {
      replaced.add(id);
      if (replaced.size > MOST_REPLACED) replaced.delete(replaced.values().next().value ?? id);
      onReplaced();
    };
  }

  return {
    async open(about, making) {
      await memory.open(about, making);
      await writer.open(about, { ...making, onReplaced: leaving(about.id, making.onReplaced) });
    },
    async append(id, batch) {
      await memory.append(id, batch);
      await writer.append(id, batch);
    },
    async finish(id, ending) {
      await memory.finish(id, ending);
      await writer.finish(id, ending);
    },
    async handOver(id, ending) {
      await memory.finish(id, ending);
      const isLeft = await writer.handOver(id, ending);
      if (isLeft) leaving(id, () => {})();
      return isLeft;
    },
    find: async (name) => (replaced.has(name.id) ? null : await memory.find(name)) ?? (await reader.find(name)),
    seesOthers: () => options.redis.state() === 'up',
    async takeUp(name, onReplaced) {
      const won = await takeUpStream(options.redis, name, { ...options, makesIt: makes(name.id) });
      if (won === null) return null;
      const { about, order, told, booked } = won;
      replaced.delete(about.id);
      await memory.open(about, { order: () => order, onReplaced });
      if (told.length > 0) await memory.append(about.id, { first: 1, items: told });
      writer.adopt(won, leaving(about.id, onReplaced));
      return { about, order, told, booked };
    },
    beat: () => writer.beat(),
  };
}
