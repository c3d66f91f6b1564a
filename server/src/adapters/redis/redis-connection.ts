import type { Redis } from 'ioredis';
import type { Clock, Lifecycle, Logger, Meter } from '../../kernel/index.ts';
import { openClient } from './redis-client.ts';
import type { RedisSettings } from './redis-settings.ts';
import { RedisTimeout, withinTime } from './within-time.ts';

export type RedisState = 'up' | 'away';

/**
 * Commands to Redis that nobody waits for in vain: after one that was not answered in time Redis is away for everybody,
 * until it has answered a probe in time.
 */
export interface RedisConnection extends Lifecycle {
  readonly settings: RedisSettings;
  state(): RedisState;
  /** What `act` gives; what `away` gives when Redis is away, fails, or does not answer in time. Rejects as `away` does. */
  ask<Value>(
    command: string,
    act: (redis: Redis) => Promise<Value>,
    away: () => Value | Promise<Value>,
  ): Promise<Value>;
  /** Called each time that Redis is there again, the first included: what it held may be gone. */
  onUp(listener: () => void): void;
  /** Milliseconds since 1970 by Redis' clock, which all processes share, as far as it is known. */
  now(): number;
}

export interface RedisConnectionOptions {
  readonly settings: RedisSettings;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly meter: Meter;
  /** How long Redis may be late before that is told as an absence, in milliseconds. Default 500. */
  readonly blinkMs?: number;
}

/** How long a start waits for Redis; it comes later then. */
const START_MS = 1_000;
const FIRST_PROBE_MS = 50;
const LAST_PROBE_MS = 2_000;
/** A connection on which nothing comes for so long is made anew. */
const DEAD_MS = 5_000;
/** Refusals of everything; others (no memory left, a replica, no permission) concern one command and cost no time. */
const CANNOT_SERVE = /^(LOADING|BUSY)/;
/** Who leaves sooner than this after coming back is asked again later each time. */
const STEADY_MS = 10_000;
const LOG_EVERY_MS = 10_000;
const BLINK_MS = 500;

export function createRedisConnection(options: RedisConnectionOptions): RedisConnection {
  const { settings, clock, logger, meter, blinkMs = BLINK_MS } = options;
  const listeners = new Set<() => void>();
  let redis: Redis | null = null;
  let state: RedisState = 'away';
  let offsetMs = 0;
  let isProbing = false;
  let hasStopped = false;
  let wakeProbe = (): void => {};
  let loggedAt = 0;
  let arrivedAt = 0;
  let restMs = 0;
  let isToldAway = true;
  let blink: NodeJS.Timeout | undefined;

  /** Nothing is asked of it from now on. One late answer is told as an absence only if none comes for a while. */
  function leave(reason: string, isLate = false): void {
    if (state === 'up') {
      state = 'away';
      const isSteady = performance.now() - arrivedAt >= STEADY_MS;
      restMs = isSteady ? 0 : Math.min(Math.max(restMs * 2, FIRST_PROBE_MS), LAST_PROBE_MS);
      if (isLate) blink = setTimeout(tellAway, blinkMs, reason);
    }
    if (!isLate) tellAway(reason);
    void probe();
  }

  function tellAway(reason: string): void {
    clearTimeout(blink);
    if (isToldAway) return;
    isToldAway = true;
    meter.gauge('chatsphere_redis_up', {}, 0);
    logger.warn({ reason }, 'Redis is away; this process goes on with its own memory');
  }

  function arrive(offset: number): void {
    offsetMs = offset;
    state = 'up';
    arrivedAt = performance.now();
    clearTimeout(blink);
    if (isToldAway) {
      isToldAway = false;
      meter.gauge('chatsphere_redis_up', {}, 1);
      logger.info({}, 'Redis is there');
    }
    for (const listener of listeners) listener();
  }

  /** Asks for the time until that is answered in time. */
  async function probe(): Promise<void> {
    if (isProbing) return;
    isProbing = true;
    if (restMs > 0) await pause(restMs);
    for (
      let delayMs = FIRST_PROBE_MS;
      !hasStopped && state === 'away';
      delayMs = Math.min(delayMs * 2, LAST_PROBE_MS)
    ) {
      const answer = redis?.status === 'ready' ? await askTime(redis) : null;
      if (hasStopped) break;
      if (answer !== null && answer.tookMs <= settings.timeoutMs) arrive(answer.timeMs - clock.now());
      else await pause(answer === null ? delayMs : FIRST_PROBE_MS);
    }
    isProbing = false;
  }

  async function askTime(client: Redis): Promise<{ readonly timeMs: number; readonly tookMs: number } | null> {
    const begunAt = performance.now();
    try {
      const [seconds, microseconds] = await withinTime(client.time(), DEAD_MS);
      return { timeMs: Number(seconds) * 1000 + Number(microseconds) / 1000, tookMs: performance.now() - begunAt };
    } catch (error) {
      if (error instanceof RedisTimeout) client.disconnect(true);
      return null;
    }
  }

  /** Real time, whatever clock the rest goes by: it is about a real connection. */
  function pause(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      wakeProbe = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  function failed(command: string, error: unknown): void {
    const isRefusal = error instanceof Error && error.name === 'ReplyError';
    const reason = error instanceof RedisTimeout ? 'timeout' : isRefusal ? 'refused' : 'connection';
    meter.count('chatsphere_redis_failures_total', { command, reason });
    if (isRefusal && !CANNOT_SERVE.test(error.message)) logSometimes(command, error);
    else leave(error instanceof Error ? error.message : reason, error instanceof RedisTimeout);
  }

  function logSometimes(command: string, error: unknown): void {
    if (Date.now() - loggedAt < LOG_EVERY_MS) return;
    loggedAt = Date.now();
    logger.warn({ command, error }, 'Redis refused a command');
  }

  return {
    name: 'redis',
    settings,
    state: () => state,
    now: () => clock.now() + offsetMs,
    onUp: (listener) => void listeners.add(listener),
    async ask(command, act, away) {
      if (redis === null || state === 'away') return away();
      const begunAt = performance.now();
      try {
        const value = await withinTime(act(redis), settings.timeoutMs);
        meter.observe('chatsphere_redis_command_duration_seconds', { command }, (performance.now() - begunAt) / 1000);
        return value;
      } catch (error) {
        failed(command, error);
        return away();
      }
    },
    async start() {
      meter.gauge('chatsphere_redis_up', {}, 0);
      redis = await openClient(settings, {
        onReady: () => {
          wakeProbe();
          void probe();
        },
        onClosed: (reason) => leave(reason),
      });
      const isUp = new Promise<void>((resolve) => void listeners.add(resolve));
      await withinTime(isUp, START_MS).catch(() =>
        logger.warn({}, 'Redis does not answer yet; this process begins with its own memory'),
      );
    },
    async stop() {
      hasStopped = true;
      clearTimeout(blink);
      wakeProbe();
      state = 'away';
      redis?.disconnect();
    },
  };
}
