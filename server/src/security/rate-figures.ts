import { type TokenBucket, tokensIn, waitFor } from './token-bucket.ts';

/** When a concurrent place comes free is not known: a second is a fair guess for a chat. */
export const CONCURRENT_RETRY_MS = 1_000;

/** The limits of a minute that count for a request; null: no such limit. */
export interface Meters {
  readonly requests: MinuteLimit | null;
  readonly tokens: MinuteLimit | null;
}

export interface MinuteLimit {
  readonly perMinute: number;
  readonly bucket: TokenBucket;
}

/** Of the limit that is nearest to being used up. */
export function nearest({ requests, tokens }: Meters) {
  const figures = [requests, tokens].filter((limit) => limit !== null).map(figuresOf);
  const shares = figures.map(({ limit, remaining }) => remaining / limit);
  return figures[shares.indexOf(Math.min(...shares))] ?? { limit: null, remaining: null, resetMs: null };
}

export function figuresOf({ perMinute, bucket }: MinuteLimit) {
  return { limit: perMinute, remaining: tokensIn(bucket), resetMs: waitFor(bucket, perMinute, perMinute) };
}

/** Milliseconds until so much can be taken; 0: now. */
export function waitOf({ perMinute, bucket }: MinuteLimit, wanted: number): number {
  return waitFor(bucket, wanted, perMinute);
}
