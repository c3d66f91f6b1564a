export interface RetryDelayOptions {
  /** The delay before the second attempt, in milliseconds; it doubles from there. */
  readonly firstMs: number;
  readonly maxMs: number;
  /** 0 (inclusive) to 1 (exclusive). */
  readonly random: () => number;
}

/** Exponential back-off with equal jitter: half of the delay is fixed, half is random, so that failures spread out. */
export function retryDelayMs(attempts: number, { firstMs, maxMs, random }: RetryDelayOptions): number {
  const delay = Math.min(maxMs, firstMs * 2 ** Math.max(0, attempts - 1));
  return Math.round(delay / 2 + (random() * delay) / 2);
}
