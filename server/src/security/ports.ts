import type { ApiKey, ApiKeyScope } from '../store/index.ts';

/** Who is calling, once the key has been checked. The tenant comes from here and nowhere else. */
export interface Principal {
  readonly tenantId: string;
  /** Null: the bootstrap admin key. */
  readonly keyId: string | null;
  readonly scopes: ReadonlySet<ApiKeyScope>;
  /** Bot ids the key is bound to; null: all of the tenant. */
  readonly bots: ReadonlySet<string> | null;
  readonly origins: readonly string[] | null;
  readonly limits: RateLimits;
}

export interface NewApiKey {
  readonly name: string;
  readonly tenantId: string;
  readonly scopes: readonly ApiKeyScope[];
  /** Ids or slugs. */
  readonly bots?: readonly string[];
  readonly origins?: readonly string[];
  readonly expiresAt?: number;
  readonly limits?: RateLimits;
}

/** What a caller may use in a minute and at once; absent: no limit. */
export type RateLimits = ApiKey['limits'];

/** Counts what callers use. Kept narrow so that one shared by several processes can take its place. */
export interface RateLimiter {
  /**
   * Takes one request, one of the concurrent places, and `tokens` that the request is expected to use, or nothing at
   * all when any of them is used up. Call `finish` of what was admitted, always and once.
   */
  admit(key: string, limits: RateLimits, tokens?: number): Promise<Admission>;
}

export type Admission = AdmittedRequest | RefusedRequest;

/** Figures of the limit that is nearest to being used up; all null when there is none. */
interface RateFigures {
  readonly limit: number | null;
  readonly remaining: number | null;
  /** Until the limit is whole again. */
  readonly resetMs: number | null;
}

export interface AdmittedRequest extends RateFigures {
  readonly allowed: true;
  /** Frees the concurrent place and corrects the expected tokens to those used. Later calls do nothing. */
  finish(usedTokens?: number): void;
}

export interface RefusedRequest extends RateFigures {
  readonly allowed: false;
  readonly exceeded: 'requests' | 'tokens' | 'concurrent';
  readonly retryAfterMs: number;
}

export interface ApiKeys {
  /**
   * The secret is in the result and nowhere else: it cannot be read again. A key made by a key is never wider than its
   * maker: where the request is silent, bots, origins, expiry and limits are the maker's.
   *
   * Rejects with `insufficient_scope` when the request asks for more than the actor has, `tenant_not_found`,
   * `bot_not_found` or `invalid_request`.
   */
  create(request: NewApiKey, actor: Principal): Promise<{ readonly key: ApiKey; readonly secret: string }>;
  /**
   * Rejects with `missing_api_key`, `invalid_api_key` (malformed, unknown and revoked look alike) or `api_key_expired`.
   * `tenantId` is the tenant that the bootstrap admin key asks to act in (the default tenant when absent); it rejects with
   * `tenant_not_found` when there is none. Other keys may only name their own, else `insufficient_scope`, whether or
   * not the other exists.
   */
  authenticate(secret: string | undefined, options: { readonly tenantId?: string }): Promise<Principal>;
  /** Takes effect with the response. False when there is no such key. */
  revoke(tenantId: string, keyId: string): Promise<boolean>;
}
