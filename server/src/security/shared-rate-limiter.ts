import { randomUUID } from 'node:crypto';
import { once } from './once.ts';
import type { Admission, RateLimiter, RateLimits, RefusedRequest } from './ports.ts';
import { CONCURRENT_RETRY_MS, figuresOf, type MinuteLimit, nearest, waitOf } from './rate-figures.ts';

/** One request as the counters that processes share see it. */
export interface SharedRequest {
  readonly key: string;
  readonly limits: RateLimits;
  readonly tokens: number;
  /** Names its concurrent place. */
  readonly id: string;
}

/** The buckets as they are after a request was admitted or refused, in units (token-bucket.ts); null: no such limit. */
export interface SharedLevels {
  readonly exceeded: RefusedRequest['exceeded'] | null;
  readonly requestUnits: number | null;
  readonly tokenUnits: number | null;
}

/** Counters of limits that several processes share. No method rejects, or waits for what cannot be had. */
export interface SharedLimits {
  /** Takes everything the request needs, or nothing at all, in one step. Null: it cannot be had now. */
  take(request: SharedRequest): Promise<SharedLevels | null>;
  /** Frees the place; takes tokens that were used beyond those expected (negative: gives back). */
  settle(request: SharedRequest, unexpectedTokens: number): void;
}

/**
 * A limiter for several processes. Each also counts by itself what it admits: that is never more than all admit together,
 * so it refuses nothing by itself unless the shared counters are away or were emptied, and then it is what still holds.
 */
export function createSharedRateLimiter({
  local,
  shared,
}: {
  readonly local: RateLimiter;
  readonly shared: SharedLimits;
}): RateLimiter {
  return {
    async admit(key, limits, tokens = 0): Promise<Admission> {
      if (Object.keys(limits).length === 0) return local.admit(key, limits, tokens);
      const request = { key, limits, tokens, id: randomUUID() };
      const levels = await shared.take(request);
      if (levels === null) return local.admit(key, limits, tokens);
      if (levels.exceeded !== null) return refusedBy(levels.exceeded, levels, request);
      const admission = await local.admit(key, limits, tokens);
      if (!admission.allowed) {
        shared.settle(request, -tokens);
        return admission;
      }
      const finish = once((used = tokens) => {
        admission.finish(used);
        shared.settle(request, used - tokens);
      });
      return { allowed: true, ...nearest(metersOf(levels, limits)), finish };
    },
  };
}

function refusedBy(
  exceeded: RefusedRequest['exceeded'],
  levels: SharedLevels,
  { limits, tokens }: SharedRequest,
): RefusedRequest {
  const meters = metersOf(levels, limits);
  const meter = exceeded === 'concurrent' ? null : meters[exceeded];
  if (meter !== null) {
    const retryAfterMs = Math.max(1, waitOf(meter, exceeded === 'requests' ? 1 : tokens));
    return { allowed: false, exceeded, ...figuresOf(meter), retryAfterMs };
  }
  return {
    allowed: false,
    exceeded,
    limit: limits.concurrent ?? null,
    remaining: 0,
    resetMs: CONCURRENT_RETRY_MS,
    retryAfterMs: CONCURRENT_RETRY_MS,
  };
}

function metersOf({ requestUnits, tokenUnits }: SharedLevels, limits: RateLimits) {
  const meter = (perMinute: number | undefined, units: number | null): MinuteLimit | null =>
    perMinute === undefined || units === null ? null : { perMinute, bucket: { refilledAt: 0, units } };
  return {
    requests: meter(limits.requestsPerMinute, requestUnits),
    tokens: meter(limits.tokensPerMinute, tokenUnits),
  };
}
