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
  readonly limits: ApiKey['limits'];
}

export interface NewApiKey {
  readonly name: string;
  readonly tenantId: string;
  readonly scopes: readonly ApiKeyScope[];
  readonly bots?: readonly string[];
  readonly origins?: readonly string[];
  readonly expiresAt?: number;
  readonly limits?: ApiKey['limits'];
}

export interface ApiKeys {
  /** The secret is in the result and nowhere else: it cannot be read again. */
  create(request: NewApiKey): Promise<{ readonly key: ApiKey; readonly secret: string }>;
  /**
   * Rejects with `missing_api_key`, `invalid_api_key` (malformed, unknown and revoked look alike) or `api_key_expired`.
   * `tenantId` is the tenant that an admin asks to act in; others may only name their own.
   */
  authenticate(secret: string | undefined, options: { readonly tenantId?: string }): Promise<Principal>;
  /** Takes effect with the response. False when there is no such key. */
  revoke(tenantId: string, keyId: string): Promise<boolean>;
}
