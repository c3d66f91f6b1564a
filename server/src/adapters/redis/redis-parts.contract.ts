import { createMemoryByteCache, createMemoryCache, createMemoryLeases } from '../../cache/index.ts';
import { createMemoryStreamBuffer } from '../../chat/index.ts';
import { type Clock, type Meter, silentLogger, silentMeter, systemClock } from '../../kernel/index.ts';
import { type OpenedRedis, openRedis } from './index.ts';

export interface OpenOptions {
  readonly url: string;
  readonly prefix?: string;
  readonly clock?: Clock;
  readonly keepStreamsMs?: number;
  readonly meter?: Meter;
  readonly timeoutMs?: number;
}

/** As a process opens Redis, with a memory of its own. On a busy machine answers take their time. */
export async function openForTest(options: OpenOptions): Promise<OpenedRedis> {
  const { url, clock = systemClock, keepStreamsMs = 60_000, prefix = 'test:', timeoutMs = 1000 } = options;
  const redis = openRedis({
    settings: { url, prefix, timeoutMs },
    clock,
    logger: silentLogger,
    meter: options.meter ?? silentMeter,
    memory: {
      cache: createMemoryCache({ maxBytes: 1_000_000, clock }),
      bytes: createMemoryByteCache({ maxBytes: 1_000_000, clock }),
      leases: createMemoryLeases({ clock }),
      streams: createMemoryStreamBuffer({ clock, keepMs: keepStreamsMs }),
    },
    keepStreamsMs,
  });
  await redis.start();
  return redis;
}

/** Waits until something is so; the time limit of the test is the limit. */
export async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isSo())) await new Promise((resolve) => setTimeout(resolve, 5));
}
