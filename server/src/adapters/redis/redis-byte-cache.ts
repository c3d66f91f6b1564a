import type { ByteCache, SharedCacheKey } from '../../cache/index.ts';
import type { RedisConnection } from './redis-connection.ts';
import { sharedKey } from './redis-settings.ts';

/** What is found in Redis is known here for so long, too. */
const REMEMBERED_MS = 600_000;

/**
 * Bytes that all processes share, as they are. A value never changes under its key, so what a process has in memory is
 * not asked for, and none has to tell another.
 */
export function createRedisByteCache({
  redis,
  memory,
}: {
  readonly redis: RedisConnection;
  readonly memory: ByteCache;
}): ByteCache {
  const { settings } = redis;
  const nameOf = (key: SharedCacheKey): string => sharedKey(settings, ...key.split('/'));
  return {
    async get(key) {
      const known = await memory.get(key);
      if (known !== null) return known;
      const found = await redis.ask(
        'bytes_get',
        (client) => client.getBuffer(nameOf(key)),
        () => null,
      );
      if (found !== null) await memory.set(key, found, REMEMBERED_MS);
      return found;
    },
    async set(key, value, ttlMs) {
      await memory.set(key, value, ttlMs);
      const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
      await redis.ask<unknown>(
        'bytes_set',
        (client) => client.set(nameOf(key), bytes, 'PX', Math.max(1, Math.ceil(ttlMs))),
        () => null,
      );
    },
  };
}
