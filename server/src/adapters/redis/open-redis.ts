import { randomUUID } from 'node:crypto';
import type { ByteCache, Cache, Leases } from '../../cache/index.ts';
import type { StreamBuffer } from '../../chat/index.ts';
import type { Clock, Lifecycle, Logger, Meter } from '../../kernel/index.ts';
import type { CircuitStates, MessageBus } from '../../resilience/index.ts';
import type { SharedLimits } from '../../security/index.ts';
import { createRedisBus } from './redis-bus.ts';
import { createRedisByteCache } from './redis-byte-cache.ts';
import { createRedisCache } from './redis-cache.ts';
import { createRedisCircuitStates } from './redis-circuit-states.ts';
import { createRedisConnection, type RedisState } from './redis-connection.ts';
import { createRedisLeases } from './redis-leases.ts';
import { createRedisLimits } from './redis-limits.ts';
import type { RedisSettings } from './redis-settings.ts';
import { createRedisStreamBuffer } from './redis-stream-buffer.ts';
import { makerKey } from './stream-entries.ts';

export interface RedisOptions {
  readonly settings: RedisSettings;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly meter: Meter;
  /** What each process keeps by itself, for when Redis is away. */
  readonly memory: {
    readonly cache: Cache;
    readonly bytes: ByteCache;
    readonly leases: Leases;
    readonly streams: StreamBuffer;
  };
  /** How long streams can be resumed after their end. */
  readonly keepStreamsMs: number;
}

/** What several processes share. Every part does what it would do in memory while Redis is away. */
export interface OpenedRedis extends Lifecycle {
  state(): RedisState;
  readonly cache: Cache;
  readonly bytes: ByteCache;
  readonly leases: Leases;
  readonly streams: StreamBuffer;
  readonly limits: SharedLimits;
  readonly circuitStates: CircuitStates;
  readonly bus: MessageBus;
}

const BEAT_MS = 1_000;
const PRESENCE_MS = 5_000;
const MAX_STREAM_BYTES = 2 * 1024 ** 2;
/** What has to be told anew now and then, and need not be at once. */
const SLOW_BEATS = 5;

/** Nothing is connected, or even loaded, before `start`. */
export function openRedis({ settings, clock, logger, meter, memory, keepStreamsMs }: RedisOptions): OpenedRedis {
  const redis = createRedisConnection({ settings, clock, logger, meter });
  const bus = createRedisBus({ redis });
  const maker = randomUUID();
  const circuitStates = createRedisCircuitStates({ redis, bus, clock });
  const limits = createRedisLimits({ redis });
  const streams = createRedisStreamBuffer({
    ...{ redis, bus, clock, maker, memory: memory.streams },
    keepMs: keepStreamsMs,
    maxBytes: MAX_STREAM_BYTES,
  });
  let timer: NodeJS.Timeout | null = null;
  let beats = 0;

  function tellPresence(): void {
    void redis.ask<unknown>(
      'presence',
      (client) => client.set(makerKey(settings, maker), '1', 'PX', PRESENCE_MS),
      () => null,
    );
  }

  function beat(): void {
    tellPresence();
    bus.beat();
    void circuitStates.refresh();
    beats += 1;
    if (beats % SLOW_BEATS !== 0) return;
    limits.beat();
    streams.beat();
  }

  redis.onUp(tellPresence);
  return {
    name: 'redis',
    state: () => redis.state(),
    cache: createRedisCache({ redis, memory: memory.cache, bus }),
    bytes: createRedisByteCache({ redis, memory: memory.bytes }),
    leases: createRedisLeases({ redis, memory: memory.leases }),
    streams,
    limits,
    circuitStates,
    bus,
    async start() {
      await Promise.all([bus.start(), redis.start()]);
      timer = setInterval(beat, BEAT_MS);
    },
    async stop() {
      if (timer !== null) clearInterval(timer);
      await redis.ask<unknown>(
        'presence',
        (client) => client.del(makerKey(settings, maker)),
        () => null,
      );
      await bus.stop();
      await redis.stop();
    },
  };
}
