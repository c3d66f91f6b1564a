import { LRUCache } from 'lru-cache';
import type { Clock } from '../kernel/index.ts';
import type { CacheKey } from './cache-key.ts';
import type { Cache } from './ports.ts';

/** What the table itself takes for an entry. */
const BYTES_PER_ENTRY_BESIDES = 250;
const BYTES_PER_CHARACTER = 2;

export interface MemoryCacheOptions {
  /** Most memory for keys and values; the least recently used go first. */
  readonly maxBytes: number;
  readonly clock: Pick<Clock, 'now'>;
}

interface Entry {
  readonly value: string;
  readonly expiresAt: number;
}

/** A cache in this process, bounded in bytes. A value of more than a tenth of its size is not kept. */
export function createMemoryCache({ maxBytes, clock }: MemoryCacheOptions): Cache {
  const entries = new LRUCache<string, Entry>({
    maxSize: Math.max(1, maxBytes),
    maxEntrySize: Math.max(1, Math.floor(maxBytes / 10)),
    sizeCalculation: ({ value }, key) => (key.length + value.length) * BYTES_PER_CHARACTER + BYTES_PER_ENTRY_BESIDES,
  });
  return {
    async get(key: CacheKey) {
      const entry = entries.get(key);
      if (entry === undefined) return null;
      if (entry.expiresAt > clock.now()) return entry.value;
      entries.delete(key);
      return null;
    },
    async set(key, value, ttlMs) {
      entries.set(key, { value, expiresAt: clock.now() + ttlMs });
    },
    async deleteAll(prefix) {
      for (const key of [...entries.keys()]) if (key.startsWith(prefix)) entries.delete(key);
    },
  };
}
