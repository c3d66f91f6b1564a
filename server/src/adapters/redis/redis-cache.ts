import type { Cache, CacheKey } from '../../cache/index.ts';
import type { MessageBus } from '../../resilience/index.ts';
import type { RedisConnection } from './redis-connection.ts';
import { createScript } from './redis-script.ts';

export interface RedisCacheOptions {
  readonly redis: RedisConnection;
  /** Kept beside Redis by each process, for when it is away. */
  readonly memory: Cache;
  /** Tells the other processes what they must forget, too. */
  readonly bus: MessageBus;
  /** Longer values are kept in memory alone. Default 1 MiB. */
  readonly maxValueBytes?: number;
}

const MAX_VALUE_BYTES = 1024 ** 2;
const TOPIC = 'cache.forget';
const DELETE_AT_ONCE = 500;
const LAST_AT_ONCE = String(DELETE_AT_ONCE - 1);
/** Beyond it, what is to be forgotten in a Redis that is away goes by its own time. */
const MOST_OWED = 10_000;
const OWNER_PREFIX = /^[^/]+\/[^/]+\/$/;

/** Keeps a value, and its key in the list of its owner, from which expired keys are dropped. */
const SET = createScript(`
local ttl = tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
redis.call('ZADD', KEYS[2], string.format('%.0f', now + ttl), KEYS[1])
if redis.call('PTTL', KEYS[2]) < ttl then redis.call('PEXPIRE', KEYS[2], ARGV[2]) end
return 1`);

/** A cache that all processes share; what each of them has set itself is there, too, while Redis is away. */
export function createRedisCache(options: RedisCacheOptions): Cache {
  const { redis, memory, bus, maxValueBytes = MAX_VALUE_BYTES } = options;
  const { prefix } = redis.settings;
  const owed = new Set<string>();

  bus.subscribe(TOPIC, { message: (text) => void memory.deleteAll(text), gap: () => void memory.deleteAll('') });
  redis.onUp(() => {
    const due = [...owed];
    owed.clear();
    for (const ownerPrefix of due) void deleteInRedis(ownerPrefix);
  });

  async function deleteInRedis(ownerPrefix: string): Promise<void> {
    const isDone = OWNER_PREFIX.test(ownerPrefix)
      ? await deleteListed(`${prefix}${ownerPrefix}keys`)
      : await deleteFound(prefix + ownerPrefix);
    if (isDone) return;
    owed.add(ownerPrefix);
    if (owed.size > MOST_OWED) owed.delete(owed.values().next().value ?? ownerPrefix);
  }

  /** False: Redis is away. */
  async function deleteListed(list: string): Promise<boolean> {
    for (;;) {
      const left = await redis.ask<number | null>(
        'cache_delete',
        async (client) => {
          const keys = await client.zrange(list, '0', LAST_AT_ONCE);
          if (keys.length > 0) await client.multi().unlink(keys).zrem(list, keys).exec();
          return keys.length;
        },
        () => null,
      );
      if (left === null || left < DELETE_AT_ONCE) return left !== null;
    }
  }

  /** For what is seldom done and by administrators alone: walks through all keys. False: Redis is away. */
  async function deleteFound(beginning: string): Promise<boolean> {
    const pattern = `${beginning.replace(/[\\*?[\]]/g, '\\$&')}*`;
    for (let cursor = '0'; ; ) {
      const next = await redis.ask<string | null>(
        'cache_delete',
        async (client) => {
          const [then, keys] = await client.scan(cursor, 'MATCH', pattern, 'COUNT', 1000);
          if (keys.length > 0) await client.unlink(keys);
          return then;
        },
        () => null,
      );
      if (next === null || next === '0') return next !== null;
      cursor = next;
    }
  }

  return {
    async get(key) {
      const kept = await redis.ask(
        'cache_get',
        (client) => client.get(prefix + key),
        () => null,
      );
      return kept ?? (await memory.get(key));
    },
    async set(key, value, ttlMs) {
      await memory.set(key, value, ttlMs);
      const isKept = Buffer.byteLength(value) <= maxValueBytes;
      await redis.ask<unknown>(
        'cache_set',
        (client) =>
          isKept
            ? SET.run(client, { keys: [prefix + key, listOf(key)], args: [value, Math.max(1, Math.ceil(ttlMs))] })
            : client.unlink(prefix + key),
        () => null,
      );
    },
    async deleteAll(ownerPrefix) {
      await memory.deleteAll(ownerPrefix);
      bus.publish(TOPIC, ownerPrefix);
      await deleteInRedis(ownerPrefix);
    },
  };

  function listOf(key: CacheKey): string {
    return `${prefix}${key.split('/', 2).join('/')}/keys`;
  }
}
