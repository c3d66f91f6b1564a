/** One token of a per-minute limit, in units: refilling adds whole units each millisecond, so nothing is rounded. */
const UNITS_PER_TOKEN = 60_000;

/**
 * A token bucket that holds a minute's worth and refills evenly. It may go below zero, when something turned out to cost
 * more than expected; that is then waited off.
 */
export interface TokenBucket {
  /** Filled up to this time (milliseconds since 1970). */
  refilledAt: number;
  units: number;
}

export function createFullBucket(perMinute: number, now: number): TokenBucket {
  return { refilledAt: now, units: perMinute * UNITS_PER_TOKEN };
}

/** Adds what has come in since the last refill. A clock that was set back adds nothing. */
export function refill(bucket: TokenBucket, perMinute: number, now: number): void {
  const elapsedMs = Math.max(0, now - bucket.refilledAt);
  bucket.units = Math.min(perMinute * UNITS_PER_TOKEN, bucket.units + elapsedMs * perMinute);
  bucket.refilledAt = now;
}

/** Takes tokens; a negative number gives them back (up to what the next refill allows). */
export function take(bucket: TokenBucket, tokens: number): void {
  bucket.units -= Math.ceil(tokens) * UNITS_PER_TOKEN;
}

/** Whole tokens that are there now. */
export function tokensIn(bucket: TokenBucket): number {
  return Math.max(0, Math.floor(bucket.units / UNITS_PER_TOKEN));
}

/** Milliseconds until the bucket holds `tokens` (a full bucket when it is asked for more); 0 when it does now. */
export function waitFor(bucket: TokenBucket, tokens: number, perMinute: number): number {
  const missing = Math.min(Math.ceil(tokens), perMinute) * UNITS_PER_TOKEN - bucket.units;
  return missing <= 0 ? 0 : Math.ceil(missing / perMinute);
}
