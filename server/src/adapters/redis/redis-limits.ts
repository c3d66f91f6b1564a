import type { SharedLevels, SharedLimits, SharedRequest } from '../../security/index.ts';
import type { RedisConnection } from './redis-connection.ts';
import { createScript } from './redis-script.ts';
import { sharedKey } from './redis-settings.ts';

/** A bucket is full again after a minute; then nothing needs to be known of it. */
const BUCKET_MS = 120_000;
/** A place whose process is gone comes free after this; living ones say so more often. */
const PLACE_MS = 30_000;
const UNITS_PER_TOKEN = 60_000;

/** The rules of token-bucket.ts, for both buckets and the places in one step. */
const TAKE = createScript(`
local now, wanted = tonumber(ARGV[1]), tonumber(ARGV[5])
local function level(key, text)
  local limit = tonumber(text)
  if not limit then return nil end
  local kept = redis.call('HMGET', key, 'units', 'at')
  local bucket = { limit = limit, key = key, units = limit * ${UNITS_PER_TOKEN}, at = now }
  if kept[1] then
    local at = tonumber(kept[2])
    bucket.units = math.min(bucket.units, tonumber(kept[1]) + math.max(0, now - at) * limit)
    bucket.at = math.max(now, at)
  end
  return bucket
end
local function holds(bucket, tokens)
  return not bucket or bucket.units >= math.min(math.ceil(tokens), bucket.limit) * ${UNITS_PER_TOKEN}
end
local function take(bucket, tokens)
  if not bucket then return end
  bucket.units = bucket.units - math.ceil(tokens) * ${UNITS_PER_TOKEN}
  redis.call('HSET', bucket.key, 'units', string.format('%.0f', bucket.units), 'at', string.format('%.0f', bucket.at))
  redis.call('PEXPIRE', bucket.key, ${BUCKET_MS})
end
local requests, tokens, places = level(KEYS[1], ARGV[2]), level(KEYS[2], ARGV[3]), tonumber(ARGV[4])
local exceeded = ''
if places then
  redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', now)
  if redis.call('ZCARD', KEYS[3]) >= places then exceeded = 'concurrent' end
end
if not holds(tokens, wanted) then exceeded = 'tokens' end
if not holds(requests, 1) then exceeded = 'requests' end
if exceeded == '' then
  take(requests, 1)
  take(tokens, wanted)
  if places then
    redis.call('ZADD', KEYS[3], string.format('%.0f', now + ${PLACE_MS}), ARGV[6])
    redis.call('PEXPIRE', KEYS[3], ${PLACE_MS})
  end
end
local function units(bucket) return bucket and string.format('%.0f', bucket.units) or '' end
return { exceeded, units(requests), units(tokens) }`);

const SETTLE = createScript(`
redis.call('ZREM', KEYS[2], ARGV[1])
local units = tonumber(ARGV[2])
if units ~= 0 and redis.call('EXISTS', KEYS[1]) == 1 then
  redis.call('HSET', KEYS[1], 'units', string.format('%.0f', tonumber(redis.call('HGET', KEYS[1], 'units')) - units))
end
return 1`);

export interface RedisLimits extends SharedLimits {
  /** To be called every few seconds: requests that are still under way keep their places. */
  beat(): void;
}

/** Limits that all processes count together. */
export function createRedisLimits({ redis }: { readonly redis: RedisConnection }): RedisLimits {
  const placed = new Map<string, string>();
  const keyOf = (kind: string, { key }: SharedRequest): string => sharedKey(redis.settings, 'limits', key, kind);

  return {
    take(request) {
      const { limits, tokens, id } = request;
      const places = keyOf('places', request);
      if (limits.concurrent !== undefined) placed.set(id, places);
      return redis.ask<SharedLevels | null>(
        'limit_take',
        async (client) => {
          const keys = [keyOf('requests', request), keyOf('tokens', request), places];
          const { requestsPerMinute = '', tokensPerMinute = '', concurrent = '' } = limits;
          const args = [Math.floor(redis.now()), requestsPerMinute, tokensPerMinute, concurrent, tokens, id];
          const levels = readLevels(await TAKE.run(client, { keys, args }));
          if (levels.exceeded !== null) placed.delete(id);
          return levels;
        },
        () => {
          placed.delete(id);
          return null;
        },
      );
    },
    settle(request, unexpectedTokens) {
      placed.delete(request.id);
      const units = Math.ceil(unexpectedTokens) * UNITS_PER_TOKEN;
      void redis.ask<unknown>(
        'limit_settle',
        (client) =>
          SETTLE.run(client, { keys: [keyOf('tokens', request), keyOf('places', request)], args: [request.id, units] }),
        () => null,
      );
    },
    beat() {
      if (placed.size === 0) return;
      const until = Math.floor(redis.now()) + PLACE_MS;
      void redis.ask<unknown>(
        'limit_keep',
        (client) => {
          const steps = client.pipeline();
          for (const [id, places] of placed) steps.zadd(places, 'XX', until, id).pexpire(places, PLACE_MS);
          return steps.exec();
        },
        () => null,
      );
    },
  };
}

function readLevels(reply: unknown): SharedLevels {
  const [exceeded, requestUnits, tokenUnits] = reply as [SharedLevels['exceeded'] | '', string, string];
  return {
    exceeded: exceeded === '' ? null : exceeded,
    requestUnits: requestUnits === '' ? null : Number(requestUnits),
    tokenUnits: tokenUnits === '' ? null : Number(tokenUnits),
  };
}
