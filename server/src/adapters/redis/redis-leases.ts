import { randomUUID } from 'node:crypto';
import type { Lease, Leases } from '../../cache/index.ts';
import type { RedisConnection } from './redis-connection.ts';
import { createScript } from './redis-script.ts';

/** Beyond it the oldest that could not be given back wait for their time to be over. */
const MOST_OWED = 10_000;

const RELEASE = createScript(`
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0`);

/** A Redis that has lost it gives it anew. */
const EXTEND = createScript(`
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
if redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2], 'NX') then return 1 end
return 0`);

/** Leases among all who share a Redis; among those who share `memory` while it is away. */
export function createRedisLeases({
  redis,
  memory,
}: {
  readonly redis: RedisConnection;
  readonly memory: Leases;
}): Leases {
  /** Keys by their tokens: leases to give back once Redis is there again, so that nobody waits for them. */
  const owed = new Map<string, string>();

  function owe(token: string, key: string): void {
    owed.set(token, key);
    if (owed.size > MOST_OWED) owed.delete(owed.keys().next().value ?? token);
  }

  async function release(token: string, key: string): Promise<void> {
    await redis.ask(
      'lease_release',
      (client) => RELEASE.run(client, { keys: [key], args: [token] }),
      () => owe(token, key),
    );
  }

  function extend(token: string, { key, ttlMs }: { readonly key: string; readonly ttlMs: number }): Promise<boolean> {
    return redis.ask(
      'lease_extend',
      async (client) => (await EXTEND.run(client, { keys: [key], args: [token, Math.max(1, Math.ceil(ttlMs))] })) === 1,
      () => true,
    );
  }

  redis.onUp(() => {
    const due = [...owed];
    owed.clear();
    for (const [token, key] of due) void release(token, key);
  });

  return {
    acquire(name, ttlMs) {
      const key = redis.settings.prefix + name;
      const token = randomUUID();
      let wasAsked = false;
      return redis.ask<Lease | null>(
        'lease_acquire',
        async (client) => {
          wasAsked = true;
          const taken = await client.set(key, token, 'PX', Math.max(1, Math.ceil(ttlMs)), 'NX');
          if (taken === null) return null;
          return { extend: (longerMs) => extend(token, { key, ttlMs: longerMs }), release: () => release(token, key) };
        },
        () => {
          // It may have been given all the same.
          if (wasAsked) owe(token, key);
          return memory.acquire(name, ttlMs);
        },
      );
    },
  };
}
