import { type OpenedRedis, openRedis, type RedisState } from '../adapters/redis/index.ts';
import {
  type ByteCache,
  type Cache,
  createMemoryByteCache,
  createMemoryCache,
  createMemoryLeases,
  type Leases,
} from '../cache/index.ts';
import { createMemoryStreamBuffer, type StreamBuffer } from '../chat/index.ts';
import type { Clock, Lifecycle, Logger, Meter } from '../kernel/index.ts';
import {
  type CircuitStates,
  createMemoryBus,
  createMemoryCircuitStates,
  type MessageBus,
} from '../resilience/index.ts';
import { createRateLimiter, createSharedRateLimiter, type RateLimiter } from '../security/index.ts';
import type { Config } from './config.ts';

/** Of vectors of queries, beside Redis. */
const VECTOR_BYTES = 16 * 1024 ** 2;

/** What several processes share: through Redis when there is one, else in the memory of the only process. */
export interface SharedState {
  readonly cache: Cache;
  /** Null: nothing is shared, and whoever keeps bytes keeps its own. */
  readonly bytes: ByteCache | null;
  readonly leases: Leases;
  readonly streamBuffer: StreamBuffer;
  readonly circuitStates: CircuitStates;
  readonly rateLimiter: RateLimiter;
  readonly bus: MessageBus;
  /** Null: Redis is not configured. */
  readonly redisState: (() => RedisState) | null;
  readonly parts: readonly Lifecycle[];
}

export interface SharedStateParts {
  /** That of the database, when processes share one; used without Redis. */
  readonly bus: MessageBus | null;
  readonly config: Pick<Config, 'redis' | 'answerCache' | 'streams'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly meter: Meter;
}

export function composeSharedState({ config, bus, clock, logger, meter }: SharedStateParts): SharedState {
  const { keepMs } = config.streams;
  const memory = {
    cache: createMemoryCache({ maxBytes: config.answerCache?.maxBytes ?? 1, clock }),
    leases: createMemoryLeases({ clock }),
    streams: createMemoryStreamBuffer({ clock, keepMs }),
  };
  const rateLimiter = createRateLimiter({ clock });
  if (config.redis === null) {
    return {
      cache: memory.cache,
      bytes: null,
      leases: memory.leases,
      streamBuffer: memory.streams,
      circuitStates: createMemoryCircuitStates(clock),
      rateLimiter,
      bus: bus ?? createMemoryBus(),
      redisState: null,
      parts: [],
    };
  }
  const redis: OpenedRedis = openRedis({
    ...{ settings: config.redis, clock, logger, meter },
    memory: { ...memory, bytes: createMemoryByteCache({ maxBytes: VECTOR_BYTES, clock }) },
    keepStreamsMs: keepMs,
  });
  return {
    cache: redis.cache,
    bytes: redis.bytes,
    leases: redis.leases,
    streamBuffer: redis.streams,
    circuitStates: redis.circuitStates,
    rateLimiter: createSharedRateLimiter({ local: rateLimiter, shared: redis.limits }),
    bus: redis.bus,
    redisState: () => redis.state(),
    parts: [redis],
  };
}
