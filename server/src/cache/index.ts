export {
  type ByteCache,
  createMemoryByteCache,
  type SharedCacheKey,
  sharedCacheKey,
} from './byte-cache.ts';
export { type CacheKey, type CacheOwner, cacheKey, type KeyPart, ownerPrefix } from './cache-key.ts';
export { createMemoryCache, type MemoryCacheOptions } from './memory-cache.ts';
export { createMemoryLeases } from './memory-leases.ts';
export type { Cache, Lease, Leases } from './ports.ts';
export { createSharedRuns, type JoinedRun, type SharedRuns } from './shared-runs.ts';
