import { createHash } from 'node:crypto';

declare const made: unique symbol;

/** A key that says whose the value is. Made by `cacheKey` alone, so that none can be without tenant and bot. */
export type CacheKey = string & { readonly [made]: true };

/** Whose a cached value is. */
export interface CacheOwner {
  readonly tenantId: string;
  readonly botId: string;
}

/** What a value is; each kind has keys of its own. */
export type CacheKind = 'answer' | 'question' | 'lease' | 'chat';

/** Plain data that a value depends on. Two that are written differently are different. */
export type KeyPart = string | number | boolean | null | readonly KeyPart[];

/**
 * The key of a value that depends on `parts`: `tenant/bot/kind/hash`. Equal only for the same owner, kind and parts in
 * the same order; the hash (SHA-256) keeps texts of users out of keys.
 */
export function cacheKey(owner: CacheOwner, kind: CacheKind, parts: readonly KeyPart[]): CacheKey {
  const hash = createHash('sha256').update(JSON.stringify(parts)).digest('base64url');
  return `${ownerPrefix(owner)}${kind}/${hash}` as CacheKey;
}

/** What every key of the owner begins with, and no key of another. */
export function ownerPrefix({ tenantId, botId }: CacheOwner): string {
  return `${namePart(tenantId)}/${namePart(botId)}/`;
}

function namePart(id: string): string {
  if (id === '') throw new Error('A cache key needs a tenant and a bot.');
  return encodeURIComponent(id);
}
