import type { StreamBuffer } from '../../chat/index.ts';
import { createRedisStreamReader, type RedisStreamReaderOptions } from './redis-stream-reader.ts';
import { createRedisStreamWriter, type RedisStreamWriterOptions } from './redis-stream-writer.ts';

export interface RedisStreamBuffer extends StreamBuffer {
  /** To be called every few seconds. */
  beat(): void;
}

/** Streams of this process from memory, as without Redis, and those of others from Redis. */
export function createRedisStreamBuffer(
  options: RedisStreamWriterOptions & RedisStreamReaderOptions,
): RedisStreamBuffer {
  const { memory } = options;
  const writer = createRedisStreamWriter(options);
  const reader = createRedisStreamReader(options);
  return {
    async open(about) {
      await memory.open(about);
      await writer.open(about);
    },
    async append(id, batch) {
      await memory.append(id, batch);
      await writer.append(id, batch);
    },
    async finish(id, ending) {
      await memory.finish(id, ending);
      await writer.finish(id, ending);
    },
    find: async (name) => (await memory.find(name)) ?? (await reader.find(name)),
    beat: () => writer.beat(),
  };
}
