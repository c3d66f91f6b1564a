import type { Clock } from '../kernel/index.ts';
import type { CacheKey } from './cache-key.ts';
import type { Lease, Leases } from './ports.ts';

/** Leases among those who share this object. */
export function createMemoryLeases({ clock }: { readonly clock: Pick<Clock, 'now'> }): Leases {
  const held = new Map<CacheKey, { expiresAt: number }>();
  return {
    async acquire(key, ttlMs): Promise<Lease | null> {
      const other = held.get(key);
      if (other !== undefined && other.expiresAt > clock.now()) return null;
      const own = { expiresAt: clock.now() + ttlMs };
      held.set(key, own);
      return {
        async extend(longerMs) {
          if (held.get(key) !== own) return false;
          own.expiresAt = clock.now() + longerMs;
          return true;
        },
        async release() {
          if (held.get(key) === own) held.delete(key);
        },
      };
    },
  };
}
