import { LRUCache } from 'lru-cache';
import { AppError, type Clock, type IdMaker, type Logger } from '../kernel/index.ts';
import type { MessageBus } from '../resilience/index.ts';
import type { ApiKey, ApiKeyRepository, BotRepository, SystemStore, TenantRepository } from '../store/index.ts';
import { createAdminPrincipal } from './access.ts';
import { createKeyCache } from './key-cache.ts';
import { limitToMaker } from './key-grant.ts';
import { createKeyTouch } from './key-touch.ts';
import type { ApiKeys, NewApiKey, Principal } from './ports.ts';
import { createKeySecret, hashSecret, hintOf, isKeySecret, type RandomBytes, sameHash } from './secret.ts';

/** No key is longer; nothing longer is hashed. */
const MAX_SECRET_LENGTH = 512;
const MAX_HASHES = 10_000;
const HASH_KEPT_MS = 60_000;
/** Scopes that a key in a public page may have. */
const PUBLIC_SCOPES: ReadonlySet<string> = new Set(['chat', 'search']);

/** What keys need of the store; the `Store` port has it. */
export interface KeyStore {
  forTenant(tenantId: string): {
    readonly apiKeys: Pick<ApiKeyRepository, 'create' | 'get' | 'revoke'>;
    readonly bots: Pick<BotRepository, 'get'>;
  };
  readonly tenants: Pick<TenantRepository, 'get'>;
  readonly system: Pick<SystemStore, 'findApiKey' | 'touchApiKeys'>;
}

export interface ApiKeysOptions {
  readonly store: KeyStore;
  /** Secret of the installation that all hashes depend on. Changing it makes every key invalid. */
  readonly pepper: string | Uint8Array;
  /** `hashSecret(pepper, adminKey)` of each bootstrap admin key that is valid now: the keys themselves are not needed, and not kept. */
  readonly adminKeyHashes: () => Promise<readonly string[]>;
  /** The tenant in which admin keys act unless they name another. */
  readonly defaultTenantId: string;
  readonly clock: Clock;
  readonly createId: IdMaker;
  readonly random: RandomBytes;
  readonly logger: Logger;
  /** Tells other processes of revocations, and this one of theirs; without it they learn within a second. */
  readonly bus?: MessageBus;
}

const TOPIC = 'api-keys.revoked';

/**
 * Makes, checks and revokes API keys. What the store said of a key is believed for a second, so that another process's
 * revocation is in force within that, or as soon as the bus has told; one made here is in force with its response.
 */
export function createApiKeys(options: ApiKeysOptions): ApiKeys {
  const { store, pepper, clock } = options;
  const cache = createKeyCache({ load: (hash) => store.system.findApiKey(hash), clock });
  options.bus?.subscribe(TOPIC, { message: () => cache.clear(), gap: () => cache.clear() });
  // Of keys that were found valid, for as long as they are in use: an HMAC for each request costs more than all else here.
  const hashes = new LRUCache<string, string>({ max: MAX_HASHES, ttl: HASH_KEPT_MS, ttlResolution: 1000 });
  const principals = new WeakMap<ApiKey, Principal>();
  const touch = createKeyTouch({
    write: (ids, now) => store.system.touchApiKeys(ids, now),
    clock,
    logger: options.logger,
  });

  async function create(
    request: NewApiKey,
    actor: Principal,
  ): Promise<{ readonly key: ApiKey; readonly secret: string }> {
    requireTenantOf(actor, request.tenantId);
    const tenant = store.forTenant(request.tenantId);
    if ((await store.tenants.get(request.tenantId)) === null) throw tenantNotFound();
    const maker = actor.keyId === null ? null : await tenant.apiKeys.get(actor.keyId);
    const now = clock.now();
    const grant = limitToMaker(
      { ...request, ...(request.bots && { bots: await idsOf(tenant.bots, request.bots) }) },
      { actor, expiresAt: maker?.expiresAt ?? null, now },
    );
    const secret = createKeySecret(isPublic(grant) ? 'pub' : 'live', options.random);
    const key: ApiKey = {
      ...grant,
      id: options.createId('key'),
      tenantId: request.tenantId,
      name: request.name,
      secretHash: hashSecret(pepper, secret),
      hint: hintOf(secret),
      revokedAt: null,
      lastUsedAt: null,
      createdAt: now,
    };
    const { tenantId: _, ...row } = key;
    await tenant.apiKeys.create(row);
    return { key, secret };
  }

  async function authenticate(
    secret: string | undefined,
    { tenantId }: { readonly tenantId?: string },
  ): Promise<Principal> {
    if (secret === undefined || secret === '') throw missingKey();
    if (secret.length > MAX_SECRET_LENGTH) throw invalidKey();
    const hash = hashes.get(secret) ?? hashSecret(pepper, secret);
    const adminHashes = await options.adminKeyHashes();
    if (adminHashes.some((adminHash) => sameHash(hash, adminHash))) return asAdmin(tenantId);
    if (!hashes.has(secret) && !isKeySecret(secret)) throw invalidKey();
    const key = await cache.get(hash);
    if (key === null || key.revokedAt !== null) throw invalidKey();
    hashes.set(secret, hash);
    const now = clock.now();
    if (key.expiresAt !== null && key.expiresAt <= now) throw expiredKey();
    const principal = principalFor(key);
    if (tenantId !== undefined) requireTenantOf(principal, tenantId);
    touch.used(key);
    return principal;
  }

  /** A key is read once a second at most, and asked for with every request. */
  function principalFor(key: ApiKey): Principal {
    const known = principals.get(key);
    if (known !== undefined) return known;
    const made = principalOf(key);
    principals.set(key, made);
    return made;
  }

  async function asAdmin(tenantId: string | undefined): Promise<Principal> {
    if (tenantId !== undefined && (await store.tenants.get(tenantId)) === null) throw tenantNotFound();
    return createAdminPrincipal(tenantId ?? options.defaultTenantId);
  }

  async function revoke(tenantId: string, keyId: string): Promise<boolean> {
    const revoked = await store.forTenant(tenantId).apiKeys.revoke(keyId, clock.now());
    cache.clear();
    options.bus?.publish(TOPIC, keyId);
    return revoked;
  }

  return { create, authenticate, revoke };
}

function principalOf(key: ApiKey): Principal {
  return {
    tenantId: key.tenantId,
    keyId: key.id,
    scopes: new Set(key.scopes),
    bots: key.bots === null ? null : new Set(key.bots),
    origins: key.origins,
    limits: key.limits,
  };
}

/** The tenants a key may name are its own; the same refusal for all others tells nothing about which exist. */
function requireTenantOf(actor: Principal, tenantId: string): void {
  if (actor.keyId === null || actor.tenantId === tenantId) return;
  throw new AppError(
    'insufficient_scope',
    'This API key acts in its own tenant only. Leave the tenant out, or use the admin key.',
  );
}

function isPublic(key: Pick<ApiKey, 'scopes' | 'origins'>): boolean {
  return key.origins !== null && key.scopes.every((scope) => PUBLIC_SCOPES.has(scope));
}

async function idsOf(bots: Pick<BotRepository, 'get'>, idsOrSlugs: readonly string[]): Promise<readonly string[]> {
  const found = await Promise.all([...new Set(idsOrSlugs)].map((name) => bots.get(name)));
  return found.map((bot) => {
    if (bot === null) {
      throw new AppError('bot_not_found', 'A bot in `bots` does not exist. List them: GET /v1/bots.', {
        param: 'bots',
      });
    }
    return bot.id;
  });
}

function missingKey(): AppError {
  return new AppError('missing_api_key', 'No API key was sent. Send it as `Authorization: Bearer <key>`.');
}

function invalidKey(): AppError {
  return new AppError('invalid_api_key', 'This API key is not valid. Check that it was copied whole and not revoked.');
}

function expiredKey(): AppError {
  return new AppError('api_key_expired', 'This API key has expired. Make a new one: POST /v1/api_keys.');
}

function tenantNotFound(): AppError {
  return new AppError('tenant_not_found', 'There is no such tenant. List them: GET /v1/tenants.');
}
