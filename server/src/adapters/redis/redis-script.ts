import { createHash } from 'node:crypto';
import type { Redis } from 'ioredis';

/** A Lua script, which Redis runs as one step. */
export interface RedisScript {
  run(
    redis: Redis,
    call: { readonly keys: readonly string[]; readonly args: readonly (string | number)[] },
  ): Promise<unknown>;
}

/** Sends the text of a script only when Redis does not know it yet. */
export function createScript(lua: string): RedisScript {
  const hash = createHash('sha1').update(lua).digest('hex');
  return {
    async run(redis, { keys, args }) {
      try {
        return await redis.evalsha(hash, keys.length, ...keys, ...args);
      } catch (error) {
        if (!String(error).includes('NOSCRIPT')) throw error;
        return await redis.eval(lua, keys.length, ...keys, ...args);
      }
    },
  };
}
