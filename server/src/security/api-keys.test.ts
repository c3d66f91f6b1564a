import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { createIdMaker, createManualClock, silentLogger } from '../kernel/index.ts';
import { createMemoryBus, type MessageBus } from '../resilience/index.ts';
import { API_KEY_SCOPES, type ApiKey, type ApiKeyScope, type Bot } from '../store/index.ts';
import { createAdminPrincipal, requireBootstrapAdmin, requireBot, requireOrigin, requireScope } from './access.ts';
import { createApiKeys, type KeyStore } from './api-keys.ts';
import type { NewApiKey } from './ports.ts';
import { hashSecret } from './secret.ts';

const ADMIN_KEY = 'the admin key of this server';
const admin = createAdminPrincipal('default');

function setUp() {
  const clock = createManualClock();
  const keys = new Map<string, ApiKey>();
  const bots = new Map([
    ['default', ['bot_1', 'bot_2']],
    ['tnt_2', ['bot_3']],
  ]);
  const calls = { lookups: 0, touches: [] as (readonly string[])[] };
  const store: KeyStore = {
    forTenant: (tenantId) => ({
      apiKeys: {
        create: async (key) => void keys.set(key.id, { ...key, tenantId }),
        get: async (id) => keys.get(id) ?? null,
        revoke: async (id, now) => {
          const key = keys.get(id);
          if (key?.tenantId !== tenantId) return false;
          keys.set(id, { ...key, revokedAt: now });
          return true;
        },
      },
      bots: {
        get: async (name) => {
          const id = name === 'first' ? 'bot_1' : name;
          return bots.get(tenantId)?.includes(id) ? ({ id, tenantId } as Bot) : null;
        },
      },
    }),
    tenants: { get: async (id) => (bots.has(id) ? { id, name: id, createdAt: 0, updatedAt: 0 } : null) },
    system: {
      findApiKey: async (hash) => {
        calls.lookups += 1;
        return [...keys.values()].find((key) => key.secretHash === hash) ?? null;
      },
      touchApiKeys: async (ids) => void calls.touches.push(ids),
    },
  };
  const make = (bus?: MessageBus) =>
    createApiKeys({
      store,
      pepper: 'pepper',
      adminKeyHashes: async () => [hashSecret('pepper', 'another'), hashSecret('pepper', ADMIN_KEY)],
      defaultTenantId: 'default',
      clock,
      createId: createIdMaker(clock.now),
      random: randomBytes,
      logger: silentLogger,
      ...(bus === undefined ? {} : { bus }),
    });
  const apiKeys = make();
  const request = (changes: Partial<NewApiKey> = {}): NewApiKey => ({
    name: 'test',
    tenantId: 'default',
    scopes: ['chat'],
    ...changes,
  });
  return { apiKeys, anotherProcess: make(), make, keys, clock, calls, request };
}

describe('making keys', () => {
  it('stores a hash and a hint, and nothing that holds the secret', async () => {
    const { apiKeys, keys, request } = setUp();
    const { key, secret } = await apiKeys.create(request(), admin);
    expect(secret).toMatch(/^cs_live_/);
    expect(JSON.stringify([...keys.values()])).not.toContain(secret);
    expect(key).toMatchObject({ hint: `${secret.slice(0, 12)}...${secret.slice(-4)}`, revokedAt: null, bots: null });
  });

  it.each([
    [{ scopes: ['chat', 'search'], origins: ['https://Example.com/'] }, 'cs_pub_'],
    [{ scopes: ['chat'] }, 'cs_live_'],
    [{ scopes: ['chat', 'sources:read'], origins: ['https://example.com'] }, 'cs_live_'],
  ] satisfies [Partial<NewApiKey>, string][])('gives %j the prefix %s', async (changes, prefix) => {
    const { apiKeys, request } = setUp();
    const { secret } = await apiKeys.create(request(changes), admin);
    expect(secret.startsWith(prefix)).toBe(true);
  });

  it.each([
    [{ scopes: [] }, 'invalid_request'],
    [{ tenantId: 'tnt_gone' }, 'tenant_not_found'],
    [{ bots: ['bot_3'] }, 'bot_not_found'],
    [{ bots: [] }, 'invalid_request'],
    [{ origins: ['not an address'] }, 'invalid_request'],
    [{ expiresAt: 1 }, 'invalid_request'],
  ] satisfies [Partial<NewApiKey>, string][])('refuses %j with %s', async (changes, code) => {
    const { apiKeys, keys, request } = setUp();
    await expect(apiKeys.create(request(changes), admin)).rejects.toMatchObject({ code });
    expect(keys.size).toBe(0);
  });

  it('resolves slugs, so that a renamed bot stays bound', async () => {
    const { apiKeys, request } = setUp();
    const { key } = await apiKeys.create(request({ bots: ['first', 'bot_1', 'bot_2'] }), admin);
    expect(new Set(key.bots)).toEqual(new Set(['bot_1', 'bot_2']));
  });
});

describe('a key that makes keys', () => {
  const bounds = {
    scopes: ['keys', 'chat'] satisfies ApiKeyScope[],
    bots: ['bot_1'],
    origins: ['https://example.com'],
    limits: { requestsPerMinute: 10 },
  };

  it.each([
    { scopes: ['admin'] },
    { scopes: ['chat', 'privacy'] },
    { bots: ['bot_2'] },
    { bots: ['bot_1', 'bot_2'] },
    { origins: ['https://other.com'] },
    { expiresAt: 1_700_000_002_000 },
    { limits: { requestsPerMinute: 11 } },
    { tenantId: 'tnt_2' },
    { tenantId: 'tnt_gone' },
  ] satisfies Partial<NewApiKey>[])('cannot make one with %j', async (changes) => {
    const { apiKeys, keys, clock, request } = setUp();
    const { secret } = await apiKeys.create(request({ ...bounds, expiresAt: clock.now() + 1_000 }), admin);
    const actor = await apiKeys.authenticate(secret, {});
    await expect(apiKeys.create(request(changes), actor)).rejects.toMatchObject({ code: 'insufficient_scope' });
    expect(keys.size).toBe(1);
  });

  it('hands its own bounds on where the request is silent', async () => {
    const { apiKeys, clock, request } = setUp();
    const expiresAt = clock.now() + 1_000;
    const { secret } = await apiKeys.create(request({ ...bounds, expiresAt }), admin);
    const actor = await apiKeys.authenticate(secret, {});
    const { key } = await apiKeys.create(request({ limits: { concurrent: 1 } }), actor);
    expect(key).toMatchObject({
      bots: ['bot_1'],
      origins: ['https://example.com'],
      expiresAt,
      limits: { requestsPerMinute: 10, concurrent: 1 },
    });
  });
});

describe('checking keys', () => {
  it('tells who is calling', async () => {
    const { apiKeys, request } = setUp();
    const { key, secret } = await apiKeys.create(request({ tenantId: 'tnt_2', bots: ['bot_3'] }), admin);
    expect(await apiKeys.authenticate(secret, {})).toEqual({
      tenantId: 'tnt_2',
      keyId: key.id,
      scopes: new Set(['chat']),
      bots: new Set(['bot_3']),
      origins: null,
      limits: {},
    });
  });

  it('answers malformed, unknown and revoked keys alike', async () => {
    const { apiKeys, request } = setUp();
    const other = setUp();
    const { key, secret } = await apiKeys.create(request(), admin);
    const unknown = await other.apiKeys.create(request(), admin);
    await apiKeys.revoke('default', key.id);
    const failures = await Promise.all(
      [secret, unknown.secret, `${secret}x`, 'sk-proj-nothing', 'x'.repeat(1_000_000), '\u0000'].map((text) =>
        apiKeys.authenticate(text, {}).catch(({ code, message }) => ({ code, message })),
      ),
    );
    expect(new Set(failures.map((failure) => JSON.stringify(failure))).size).toBe(1);
    expect(failures[0]).toMatchObject({ code: 'invalid_api_key' });
  });

  it('refuses a mistyped key without a look-up', async () => {
    const { apiKeys, calls, request } = setUp();
    const { secret } = await apiKeys.create(request(), admin);
    const typo = secret.slice(0, 20) + (secret.charAt(20) === 'a' ? 'b' : 'a') + secret.slice(21);
    await expect(apiKeys.authenticate(typo, {})).rejects.toMatchObject({ code: 'invalid_api_key' });
    expect(calls.lookups).toBe(0);
  });

  it.each([undefined, ''])('asks for a key when there is none (%s)', async (secret) => {
    await expect(setUp().apiKeys.authenticate(secret, {})).rejects.toMatchObject({ code: 'missing_api_key' });
  });

  it('tells an expired key from a wrong one', async () => {
    const { apiKeys, clock, request } = setUp();
    const { secret } = await apiKeys.create(request({ expiresAt: clock.now() + 500 }), admin);
    await apiKeys.authenticate(secret, {});
    await clock.advance(500);
    await expect(apiKeys.authenticate(secret, {})).rejects.toMatchObject({ code: 'api_key_expired' });
  });

  it('looks a key up once a second, however many ask at once', async () => {
    const { apiKeys, calls, clock, request } = setUp();
    const { secret } = await apiKeys.create(request(), admin);
    await Promise.all(Array.from({ length: 1_000 }, () => apiKeys.authenticate(secret, {})));
    expect(calls.lookups).toBe(1);
    await clock.advance(1_000);
    await apiKeys.authenticate(secret, {});
    expect(calls.lookups).toBe(2);
  });

  it('refuses a revoked key as soon as other processes have been told', async () => {
    const { make, request } = setUp();
    const bus = createMemoryBus();
    const [here, there] = [make(bus), make(bus)];
    const { key, secret } = await here.create(request(), admin);
    await there.authenticate(secret, {});
    await here.revoke('default', key.id);
    await expect(there.authenticate(secret, {})).rejects.toMatchObject({ code: 'invalid_api_key' });
  });

  it('refuses a revoked key at once here and within a second elsewhere', async () => {
    const { apiKeys, anotherProcess, clock, request } = setUp();
    const { key, secret } = await apiKeys.create(request(), admin);
    await Promise.all([apiKeys.authenticate(secret, {}), anotherProcess.authenticate(secret, {})]);
    expect(await apiKeys.revoke('tnt_2', key.id)).toBe(false);
    expect(await apiKeys.revoke('default', key.id)).toBe(true);
    await expect(apiKeys.authenticate(secret, {})).rejects.toMatchObject({ code: 'invalid_api_key' });
    await clock.advance(1_000);
    await expect(anotherProcess.authenticate(secret, {})).rejects.toMatchObject({ code: 'invalid_api_key' });
  });

  it('believes nothing longer because the clock was set back', async () => {
    const { apiKeys, anotherProcess, clock, request } = setUp();
    const { key, secret } = await apiKeys.create(request(), admin);
    await anotherProcess.authenticate(secret, {});
    await apiKeys.revoke('default', key.id);
    await clock.advance(-3_600_000);
    await expect(anotherProcess.authenticate(secret, {})).rejects.toMatchObject({ code: 'invalid_api_key' });
  });

  it('notes the last use in one write a minute', async () => {
    const { apiKeys, calls, clock, request } = setUp();
    const made = await Promise.all([apiKeys.create(request(), admin), apiKeys.create(request(), admin)]);
    const useAll = () => Promise.all(made.map(({ secret }) => apiKeys.authenticate(secret, {})));
    await useAll();
    await clock.advance(1_000);
    await useAll();
    await clock.advance(1_000);
    expect(calls.touches).toEqual([made.map(({ key }) => key.id)]);
    await clock.advance(58_000);
    await useAll();
    await clock.advance(1_000);
    expect(calls.touches).toHaveLength(2);
  });
});

describe('the admin key', () => {
  it('acts in `default` unless it names another tenant that exists', async () => {
    const { apiKeys } = setUp();
    expect(await apiKeys.authenticate(ADMIN_KEY, {})).toMatchObject({ tenantId: 'default', keyId: null });
    expect(await apiKeys.authenticate(ADMIN_KEY, { tenantId: 'tnt_2' })).toMatchObject({ tenantId: 'tnt_2' });
    await expect(apiKeys.authenticate(ADMIN_KEY, { tenantId: 'tnt_gone' })).rejects.toMatchObject({
      code: 'tenant_not_found',
    });
  });

  it.each(['tnt_2', 'tnt_gone'])('alone may name another tenant (%s)', async (tenantId) => {
    const { apiKeys, request } = setUp();
    const { secret } = await apiKeys.create(request({ scopes: ['admin'] }), admin);
    await expect(apiKeys.authenticate(secret, { tenantId })).rejects.toMatchObject({ code: 'insufficient_scope' });
    expect(await apiKeys.authenticate(secret, { tenantId: 'default' })).toMatchObject({ tenantId: 'default' });
  });

  it('is not the key whose scopes hold `admin`: only it manages tenants', async () => {
    const { apiKeys, request } = setUp();
    const { secret } = await apiKeys.create(request({ scopes: ['admin'] }), admin);
    const principal = await apiKeys.authenticate(secret, {});
    for (const scope of API_KEY_SCOPES) expect(() => requireScope(principal, scope)).not.toThrow();
    expect(() => requireBootstrapAdmin(principal)).toThrow('Only the admin key');
    expect(() => requireBootstrapAdmin(admin)).not.toThrow();
  });
});

describe('what a key may reach', () => {
  const principal = { ...admin, keyId: 'key_1', scopes: new Set<ApiKeyScope>(['chat']), bots: new Set(['bot_1']) };

  it('has the scopes it was given', () => {
    expect(() => requireScope(principal, 'chat')).not.toThrow();
    expect(() => requireScope(principal, 'search')).toThrow('lacks the scope "search"');
  });

  it.each([null, { id: 'bot_2', tenantId: 'default' }, { id: 'bot_1', tenantId: 'tnt_2' }])(
    'answers %j as a bot that does not exist',
    (bot) => {
      expect(() => requireBot(principal, bot)).toThrow(expect.objectContaining({ code: 'bot_not_found' }));
    },
  );

  it('uses its own bots', () => {
    const bot = { id: 'bot_1', tenantId: 'default' };
    expect(requireBot(principal, bot)).toBe(bot);
  });

  it('works on its own sites only', () => {
    const bound = { ...principal, origins: ['https://example.com'] };
    expect(() => requireOrigin(bound, 'https://example.com')).not.toThrow();
    expect(() => requireOrigin(principal, undefined)).not.toThrow();
    for (const origin of [undefined, 'null', 'https://example.com.evil.io', 'http://example.com']) {
      expect(() => requireOrigin(bound, origin)).toThrow(expect.objectContaining({ code: 'origin_not_allowed' }));
    }
  });
});
