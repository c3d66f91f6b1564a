import { createHash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { Clock } from '../kernel/index.ts';
import type { KeyPart } from './cache-key.ts';

declare const made: unique symbol;

/** The key of a value that is nobody's: it is the same for whoever may compute it. Made by `sharedCacheKey` alone. */
export type SharedCacheKey = string & { readonly [made]: true };

/** What such a value is. */
export type SharedCacheKind = 'embedding';

/**
 * Bytes that are the same for all tenants and can be computed again, by what they are computed from. What `Cache` promises
 * holds here, too: it is never in the way, and no method rejects.
 */
export interface ByteCache {
  /** Null: it is not there, has expired, or cannot be had now. The bytes must not be altered. */
  get(key: SharedCacheKey): Promise<Uint8Array | null>;
  /** Kept for so many milliseconds, or shorter. The bytes must not be altered afterwards. */
  set(key: SharedCacheKey, value: Uint8Array, ttlMs: number): Promise<void>;
}

/** `kind/hash`: equal only for the same kind and parts. The hash (SHA-256) keeps texts of users out of keys. */
export function sharedCacheKey(kind: SharedCacheKind, parts: readonly KeyPart[]): SharedCacheKey {
  const hash = createHash('sha256').update(JSON.stringify(parts)).digest('base64url');
  return `${kind}/${hash}` as SharedCacheKey;
}

/** What the table itself takes for an entry with its key. */
const BYTES_PER_ENTRY_BESIDES = 250;

/** Bytes in this process, bounded; the least recently used go first. */
export function createMemoryByteCache({
  maxBytes,
  clock,
}: {
  readonly maxBytes: number;
  readonly clock: Pick<Clock, 'now'>;
}): ByteCache {
  const entries = new LRUCache<string, { readonly value: Uint8Array; readonly expiresAt: number }>({
    maxSize: Math.max(1, maxBytes),
    sizeCalculation: ({ value }) => value.byteLength + BYTES_PER_ENTRY_BESIDES,
  });
  return {
    async get(key) {
      const entry = entries.get(key);
      if (entry === undefined) return null;
      if (entry.expiresAt > clock.now()) return entry.value;
      entries.delete(key);
      return null;
    },
    async set(key, value, ttlMs) {
      entries.set(key, { value, expiresAt: clock.now() + ttlMs });
    },
  };
}
