import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openSqlite } from '../adapters/sqlite/index.ts';
import { createIdMaker, createManualClock, silentLogger } from '../kernel/index.ts';
import { hashSecret } from '../security/index.ts';
import type { Store } from '../store/index.ts';
import { loadSecret } from './data-folder.ts';
import {
  DEFAULT_TENANT_ID,
  ensureDefaultTenant,
  ensureDemoBot,
  ensureDemoKey,
  resolveAdminKey,
} from './first-start.ts';

const PEPPER = 'a pepper of some length for the tests';

describe('first start', () => {
  const clock = createManualClock();
  const createId = createIdMaker(clock.now);
  let store: Store;
  beforeEach(async () => {
    ({ store } = openSqlite({ file: ':memory:', clock, logger: silentLogger }));
    await store.start();
    await ensureDefaultTenant(store, clock);
  });
  afterEach(() => store.stop());
  const parts = () => ({ store, clock, createId, pepper: PEPPER });

  it('makes the admin key anew until one was kept, and never shows it again', async () => {
    const options = { configured: null, pepper: PEPPER, make: true };
    const lost = await resolveAdminKey(store, options);
    const kept = await resolveAdminKey(store, options);
    expect(kept?.created).not.toBe(lost?.created);
    await kept?.keep();
    const later = await resolveAdminKey(store, options);
    expect(later).toMatchObject({ created: null, hash: hashSecret(PEPPER, kept?.created ?? '') });
    const configured = await resolveAdminKey(store, { ...options, configured: 'a key of the operator' });
    expect(configured?.hash).toBe(hashSecret(PEPPER, 'a key of the operator'));
  });

  it('leaves the key for later when it is not to be made', async () => {
    expect(await resolveAdminKey(store, { configured: null, pepper: PEPPER, make: false })).toBeNull();
  });

  it('makes the demo bot once, with one public key that only chats with it', async () => {
    const bot = await ensureDemoBot(parts());
    expect((await ensureDemoBot(parts()))?.id).toBe(bot?.id);
    if (bot === null) throw new Error('no demo bot');
    const secret = await ensureDemoKey(parts(), bot);
    expect(await ensureDemoKey(parts(), bot)).toBe(secret);
    const key = await store.system.findApiKey(hashSecret(PEPPER, secret ?? ''));
    expect(key).toMatchObject({ scopes: ['chat'], bots: [bot.id], limits: { tokensPerMinute: 60_000, concurrent: 4 } });
    await store.forTenant(DEFAULT_TENANT_ID).apiKeys.revoke(key?.id ?? '', clock.now());
    expect(await ensureDemoKey(parts(), bot)).toBeNull();
  });

  it('never takes a bot that an operator calls demo for the demo bot', async () => {
    const demo = await ensureDemoBot(parts());
    const { bots } = store.forTenant(DEFAULT_TENANT_ID);
    if (demo === null) throw new Error('no demo bot');
    await bots.delete(demo.id);
    const { tenantId: _, ...copy } = demo;
    await bots.create({ ...copy, id: createId('bot') });
    expect(await ensureDemoBot(parts())).toBeNull();
  });
});

describe('the secret of the installation', () => {
  it('is made once and refused when damaged', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'chatsphere-secret-'));
    try {
      const secret = await loadSecret(folder, null);
      expect(secret.length).toBeGreaterThanOrEqual(32);
      expect(await loadSecret(folder, null)).toBe(secret);
      expect(await loadSecret(folder, 'from the configuration')).toBe('from the configuration');
      await writeFile(join(folder, 'secret'), 'cut');
      await expect(loadSecret(folder, null)).rejects.toMatchObject({ code: 'configuration_invalid' });
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
