import type { CacheKey } from './cache-key.ts';

/**
 * Texts that may be lost at any time and are never the only copy. It is never in the way: a cache that cannot be reached
 * holds nothing, loses what it is given, and says so to its own log; no method rejects for that, or makes a caller wait
 * longer than a few hundred milliseconds.
 */
export interface Cache {
  /** Null: it is not there, has expired, or cannot be had now. */
  get(key: CacheKey): Promise<string | null>;
  /** Kept for so many milliseconds (1 or more), or shorter. A later value takes the place of an earlier one. */
  set(key: CacheKey, value: string, ttlMs: number): Promise<void>;
  /** Forgets every key that begins with the prefix. */
  deleteAll(prefix: string): Promise<void>;
}

/**
 * Who does a piece of work that several processes could do. A lease is no lock: one that cannot be had because nobody
 * can be asked is given, so the work is then done twice and not never.
 */
export interface Leases {
  /** Ours until it is released or `ttlMs` is over; null: another has it. Never rejects. */
  acquire(key: CacheKey, ttlMs: number): Promise<Lease | null>;
}

export interface Lease {
  /**
   * Ours for so long from now on: a short lease that is extended while its work goes on is soon free when its process
   * dies. False: it is another's by now. Never rejects.
   */
  extend(ttlMs: number): Promise<boolean>;
  /** Gives it back, if it is still ours. Never rejects. */
  release(): Promise<void>;
}
