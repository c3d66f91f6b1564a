import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openSqlite } from '../adapters/sqlite/index.ts';
import { createIdMaker, createManualClock, silentLogger } from '../kernel/index.ts';
import { hashSecret } from '../security/index.ts';
import type { Store } from '../store/index.ts';
import { createAdminKeyHashes } from './admin-key.ts';
import { loadSecret } from './data-folder.ts';
import {
  ensureDefaultTenant,
  ensureDemoBot,
  ensureDemoKey,
  type FirstTurnParts,
  resolveAdminKey,
  takeFirstTurn,
} from './first-start.ts';
import { DEFAULT_TENANT_ID } from './first-start-names.ts';
import { createLeaseRows } from './lease-rows.contract.ts';
import { checkSecret, type SecretCheck } from './secret-fingerprint.ts';

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
  });

  it('takes a key from the configuration for the one of the installation, until another is configured', async () => {
    const options = { configured: null, pepper: PEPPER, make: true };
    const first = await resolveAdminKey(store, options);
    await first?.keep();
    const logger = { ...silentLogger, warn: (_: object, message: string) => void warnings.push(message) };
    const warnings: string[] = [];
    const watch = (atStart: string | null, isConfigured: boolean) =>
      createAdminKeyHashes({ store, atStart, own: ['own'], isConfigured, clock, logger });
    const elsewhere = watch(first?.hash ?? null, false);
    const configured = await resolveAdminKey(store, { ...options, configured: 'a key of the operator' });
    const hash = hashSecret(PEPPER, 'a key of the operator');
    expect(configured).toMatchObject({ hash, created: null, replaces: true });
    const here = watch(hash, true);
    expect(await resolveAdminKey(store, { ...options, configured: 'a key of the operator' })).toMatchObject({
      replaces: false,
    });
    expect(await elsewhere()).toEqual(['own', first?.hash]);
    await clock.advance(1_000);
    expect([await elsewhere(), await here()]).toEqual([
      ['own', hash],
      ['own', hash],
    ]);
    expect(await resolveAdminKey(store, options)).toMatchObject({ hash, created: null });
    expect(warnings).toEqual([]);

    const another = await resolveAdminKey(store, { ...options, configured: 'a key of another process' });
    await clock.advance(1_000);
    expect(await Promise.all([here(), here(), elsewhere()])).toEqual(Array(3).fill(['own', another?.hash]));
    expect(warnings).toEqual([expect.stringContaining('another CHATSPHERE_ADMIN_KEY')]);
  });

  it('keeps the admin key that it knows while the database is away', async () => {
    const getSetting = () => Promise.reject(new Error('away'));
    const hashes = createAdminKeyHashes({
      store: { system: { getSetting } },
      ...{ atStart: 'hash', own: [], isConfigured: true, clock, logger: silentLogger },
    });
    await clock.advance(1_000);
    expect(await hashes()).toEqual(['hash']);
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

describe('the turn of the first start', () => {
  it('stays with whoever works, however long that takes, until it is given back or its holder dies', async () => {
    const clock = createManualClock();
    let row: { owner: string; expiresAt: number } | null = null;
    const dead = new Set<string>();
    const take = (owner: string) =>
      takeFirstTurn({
        clock,
        logger: silentLogger,
        self: owner,
        leases: {
          ofOthers: async () => [],
          async acquire(_, { now, expiresAt }) {
            if (dead.has(owner)) throw new Error('no process, no statements');
            if (row !== null && row.owner !== owner && row.expiresAt > now) return false;
            row = { owner, expiresAt };
            return true;
          },
          async release() {
            if (row?.owner === owner) row = null;
          },
        },
      });
    const pass = async (seconds: number) => {
      for (let step = 0; step < seconds * 10; step += 1) await clock.advance(100);
    };
    const holders: string[] = [];
    const one = await take('one');
    const second = take('two').then((turn) => {
      holders.push('two');
      return turn;
    });
    await pass(300);
    expect(holders).toEqual([]);
    await one.release();
    await pass(1);
    expect(holders).toEqual(['two']);
    await second;
    dead.add('two');
    const third = take('three').then(() => holders.push('three'));
    await pass(16);
    expect(holders).toEqual(['two', 'three']);
    await third;
  });
});

describe('a first start that hangs', () => {
  const start = () => {
    const clock = createManualClock();
    const open = createLeaseRows();
    const take = (self: string, more: Partial<FirstTurnParts> = {}) =>
      takeFirstTurn({ leases: open(), clock, logger: silentLogger, self, ...more });
    return { clock, take };
  };

  it('keeps others waiting for ten minutes, who say for whom they wait', async () => {
    const { clock, take } = start();
    const told: unknown[] = [];
    const logger = { ...silentLogger, warn: (fields: object) => void told.push(fields) };
    await take('process 7 on one');
    const began = clock.now();
    let waitedMs: number | null = null;
    const waiting = take('process 8 on other', { logger }).then((turn) => {
      waitedMs = clock.now() - began;
      return turn;
    });
    for (let second = 0; waitedMs === null && second < 3_600; second += 1) await clock.advance(1_000);
    expect(waitedMs).toBeGreaterThan(590_000);
    expect(waitedMs).toBeLessThan(630_000);
    expect(told).toContainEqual({ heldBy: 'process 7 on one' });
    await (await waiting).release();
  });

  it('is not waited for any more by one that is told to stop', async () => {
    const { clock, take } = start();
    const hanging = await take('process 7 on one');
    const told = new AbortController();
    const waiting = expect(take('process 8 on other', { signal: told.signal })).rejects.toThrow('SIGTERM');
    await clock.advance(100);
    told.abort(new Error('SIGTERM'));
    await waiting;
    await hanging.release();
  });
});

describe('the fingerprint of the secret', () => {
  const clock = createManualClock();
  let store: Store;
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'chatsphere-secret-'));
    ({ store } = openSqlite({ file: ':memory:', clock, logger: silentLogger }));
    await store.start();
  });
  afterEach(async () => {
    await store.stop();
    await rm(folder, { recursive: true });
  });
  const [right, wrong] = ['right'.repeat(10), 'wrong'.repeat(10)];
  const check = (secret: string, changes: Partial<SecretCheck> = {}) =>
    checkSecret(store, { secret, isConfigured: true, dataFolder: folder, mode: 'keep', ...changes });
  const kept = async (secret: string) => (await check(secret)).keep();

  it('is kept once, and another secret is refused from then on', async () => {
    expect(await check(right)).toMatchObject({ isNew: false });
    await kept(right);
    expect(await check(right)).toMatchObject({ isNew: false });
    await expect(check(wrong)).rejects.toMatchObject({ code: 'secret_mismatch' });
    await expect(check(wrong, { mode: 'check' })).rejects.toMatchObject({ code: 'secret_mismatch' });
    expect(await check(right)).toMatchObject({ isNew: false });
  });

  it('is not kept by a process that only checks', async () => {
    await (await check(wrong, { mode: 'check' })).keep();
    await kept(right);
    expect(await check(right, { mode: 'check' })).toMatchObject({ isNew: false });
  });

  it('says what to set, and where the right one is', async () => {
    await kept(right);
    await expect(check(wrong)).rejects.toThrow(
      /CHATSPHERE_SECRET is not the secret.*Set CHATSPHERE_SECRET to.*--new-secret/,
    );
    await expect(check(wrong, { isConfigured: false })).rejects.toThrow(
      `The secret in ${join(folder, 'secret')} is not`,
    );
    await writeFile(join(folder, 'secret'), `${right}\n`);
    const error = await check(wrong).catch((failure: unknown) => failure);
    expect((error as Error).message).toContain(`The right one is in ${join(folder, 'secret')}`);
    expect((error as Error).message).not.toContain(right);
  });

  it('is replaced when the secret is lost, and so is the admin key of before', async () => {
    const options = { configured: null, make: true };
    const before = await resolveAdminKey(store, { ...options, pepper: right });
    await before?.keep();
    await kept(right);
    const replaced = await check(wrong, { mode: 'replace' });
    expect(replaced.isNew).toBe(true);
    const admin = await resolveAdminKey(store, { ...options, pepper: wrong, anew: replaced.isNew });
    expect(admin?.created).toEqual(expect.any(String));
    await admin?.keep();
    await replaced.keep();
    expect(await check(wrong)).toMatchObject({ isNew: false });
    expect(await resolveAdminKey(store, { ...options, pepper: wrong })).toMatchObject({
      created: null,
      hash: admin?.hash,
    });
    await expect(check(right)).rejects.toMatchObject({ code: 'secret_mismatch' });
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
