import { LRUCache } from 'lru-cache';
import type { Clock } from '../kernel/index.ts';
import type { ApiKey } from '../store/index.ts';

export interface KeyCacheOptions {
  /** Reads a key by the hash of its secret. */
  load(secretHash: string): Promise<ApiKey | null>;
  readonly clock: Clock;
  /** How long what was read is believed, in milliseconds. */
  readonly maxAgeMs?: number;
  readonly maxKeys?: number;
}

export interface KeyCache {
  get(secretHash: string): Promise<ApiKey | null>;
  clear(): void;
}

/** Keys as they were read at most a second ago; callers that ask for the same key at once share one look-up. */
export function createKeyCache({ load, clock, maxAgeMs = 1_000, maxKeys = 10_000 }: KeyCacheOptions): KeyCache {
  const entries = new LRUCache<string, { readonly readAt: number; readonly key: Promise<ApiKey | null> }>({
    max: maxKeys,
  });

  function get(secretHash: string): Promise<ApiKey | null> {
    const known = entries.get(secretHash);
    const age = known === undefined ? Number.NaN : clock.now() - known.readAt;
    // A negative age means that the clock was set back: not a reason to believe the entry for longer.
    if (known !== undefined && age >= 0 && age < maxAgeMs) return known.key;
    const entry = { readAt: clock.now(), key: load(secretHash) };
    entries.set(secretHash, entry);
    entry.key.then(
      (key) => key === null && forget(secretHash, entry),
      () => forget(secretHash, entry),
    );
    return entry.key;
  }

  function forget(secretHash: string, entry: object): void {
    if (entries.peek(secretHash) === entry) entries.delete(secretHash);
  }

  return { get, clear: () => entries.clear() };
}
