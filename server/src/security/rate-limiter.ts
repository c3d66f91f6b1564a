import { LRUCache } from 'lru-cache';
import type { Clock } from '../kernel/index.ts';
import { once } from './once.ts';
import type { Admission, RateLimiter, RateLimits, RefusedRequest } from './ports.ts';
import { CONCURRENT_RETRY_MS, figuresOf, type Meters, type MinuteLimit, nearest, waitOf } from './rate-figures.ts';
import { createFullBucket, refill, type TokenBucket, take } from './token-bucket.ts';

export interface RateLimiterOptions {
  readonly clock: Clock;
  /** How many keys are remembered; the least recently used beyond that start afresh. */
  readonly maxKeys?: number;
}

/** A limiter for one process: token buckets of a minute for requests and tokens, and a count of concurrent requests. */
export function createRateLimiter({ clock, maxKeys = 50_000 }: RateLimiterOptions): RateLimiter {
  const buckets = new LRUCache<string, TokenBucket>({ max: maxKeys * 2 });
  const running = new Map<string, number>();

  async function admit(key: string, limits: RateLimits, tokens = 0): Promise<Admission> {
    const now = clock.now();
    const meters: Meters = {
      requests: minuteLimit(`requests:${key}`, limits.requestsPerMinute, now),
      tokens: minuteLimit(`tokens:${key}`, limits.tokensPerMinute, now),
    };
    const refusal = refuse(meters, tokens) ?? refuseConcurrent(key, limits.concurrent);
    if (refusal !== null) return refusal;
    if (meters.requests) take(meters.requests.bucket, 1);
    if (meters.tokens) take(meters.tokens.bucket, tokens);
    running.set(key, (running.get(key) ?? 0) + 1);
    return { allowed: true, ...nearest(meters), finish: once((used = tokens) => finish(key, meters, used - tokens)) };
  }

  function minuteLimit(name: string, perMinute: number | undefined, now: number): MinuteLimit | null {
    if (perMinute === undefined) return null;
    const bucket = buckets.get(name) ?? createFullBucket(perMinute, now);
    buckets.set(name, bucket);
    refill(bucket, perMinute, now);
    return { perMinute, bucket };
  }

  function refuseConcurrent(key: string, concurrent: number | undefined): RefusedRequest | null {
    if (concurrent === undefined || (running.get(key) ?? 0) < concurrent) return null;
    return {
      allowed: false,
      exceeded: 'concurrent',
      limit: concurrent,
      remaining: 0,
      resetMs: CONCURRENT_RETRY_MS,
      retryAfterMs: CONCURRENT_RETRY_MS,
    };
  }

  function finish(key: string, meters: Meters, unexpectedTokens: number): void {
    if (meters.tokens) take(meters.tokens.bucket, unexpectedTokens);
    const left = (running.get(key) ?? 1) - 1;
    if (left > 0) running.set(key, left);
    else running.delete(key);
  }

  return { admit };
}

function refuse(meters: Meters, tokens: number): RefusedRequest | null {
  return refuseBy(meters.requests, 1, 'requests') ?? refuseBy(meters.tokens, tokens, 'tokens');
}

function refuseBy(
  limit: MinuteLimit | null,
  wanted: number,
  exceeded: RefusedRequest['exceeded'],
): RefusedRequest | null {
  if (limit === null) return null;
  const retryAfterMs = waitOf(limit, wanted);
  return retryAfterMs === 0 ? null : { allowed: false, exceeded, ...figuresOf(limit), retryAfterMs };
}
