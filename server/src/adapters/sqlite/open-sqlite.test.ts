import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { silentLogger, systemClock } from '../../kernel/index.ts';
import { createSamples, createTenantWithBot } from '../../store/store-samples.contract.ts';
import { createDatabaseInProcess } from './database-thread.ts';
import { openSqlite } from './index.ts';

const samples = createSamples('opn');

describe('openSqlite', () => {
  let folder: string;
  let file: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'chatsphere-open-'));
    file = join(folder, 'open.db');
  });
  afterEach(() => rm(folder, { recursive: true }));

  const open = () => openSqlite({ file, clock: systemClock, logger: silentLogger });

  it('keeps everything over a stop, and leaves one file behind', async () => {
    const row = samples.tenant();
    const first = open();
    await first.store.start();
    await first.store.tenants.create(row);
    await first.wordVectorCache.putMany('model', new Map([['word', new Float32Array([0.5, 1])]]));
    await first.store.stop();
    expect(await readdir(folder)).toEqual(['open.db']);

    const second = open();
    await second.store.start();
    expect(await second.store.tenants.get(row.id)).toEqual(row);
    const vectors = await second.wordVectorCache.getMany('model', ['word', 'other']);
    expect([...vectors].map(([word, vector]) => [word, [...vector]])).toEqual([['word', [0.5, 1]]]);
    await second.store.stop();
    await expect(second.store.ping()).rejects.toThrow();
  });

  it('refuses a database that a newer version has written', async () => {
    const first = open();
    await first.store.start();
    await first.store.stop();
    const raw = createDatabaseInProcess({ file, role: 'writer' });
    const sql = "insert into schema_migrations values (9999, 'from-the-future', 0)";
    await raw.execute({ sql, parameters: [], within: 'nothing' });
    await raw.stop();
    const second = open();
    await expect(second.store.start()).rejects.toMatchObject({ code: 'configuration_invalid' });
    await second.store.stop();
  });

  it('takes a step of the schema that is missing below the newest', async () => {
    const first = open();
    await first.store.start();
    await first.store.stop();
    const raw = createDatabaseInProcess({ file, role: 'writer' });
    const undo = [
      'delete from schema_migrations where number = 5',
      ...['sync_items', 'sync_runs', 'document_signatures'].map((table) => `drop table ${table}`),
      'alter table sources drop column file_hash',
      'alter table bots drop column content_removed_at',
      'alter table conversations drop column summarized_at',
    ];
    for (const sql of undo) await raw.execute({ sql, parameters: [], within: 'nothing' });
    await raw.stop();
    const second = open();
    await second.store.start();
    const { tenant, botId } = await createTenantWithBot(second.store, samples);
    expect((await tenant.syncRuns.list(botId, { limit: 1, order: 'asc' })).items).toEqual([]);
    await second.store.stop();
  });

  it('looks through bots one after the other, so that another read waits for one of them at most', async () => {
    const { store } = open();
    await store.start();
    const { tenant, botId } = await createTenantWithBot(store, samples);
    const others = [samples.bot(), samples.bot()];
    for (const bot of others) await tenant.bots.create(bot);
    const answered: string[] = [];
    const looked = tenant.generations
      .lacking([botId, ...others.map(({ id }) => id)], 'fake/one@1:4')
      .then(() => answered.push('lacking'));
    await Promise.all([looked, tenant.bots.get(botId).then(() => answered.push('another read'))]);
    expect(answered).toEqual(['another read', 'lacking']);
    await store.stop();
  });

  it('stops when it never started', async () => {
    await expect(open().store.stop()).resolves.toBeUndefined();
  });

  it('keeps word vectors by model, the newest of each word', async () => {
    const { store, wordVectorCache } = openSqlite({ file: ':memory:', clock: systemClock, logger: silentLogger });
    await store.start();
    const many = new Map(
      Array.from({ length: 1_500 }, (_, count) => [`w${count}`, new Float32Array([count])] as const),
    );
    await wordVectorCache.putMany('a', many);
    await wordVectorCache.putMany('a', new Map([['w7', new Float32Array([-1])]]));
    await wordVectorCache.putMany('a', new Map());
    const read = await wordVectorCache.getMany('a', [...many.keys()]);
    expect(read.size).toBe(1_500);
    expect(read.get('w7')).toEqual(new Float32Array([-1]));
    expect((await wordVectorCache.getMany('b', ['w7'])).size).toBe(0);
    expect((await wordVectorCache.getMany('a', [])).size).toBe(0);
    await store.stop();
  });
});
