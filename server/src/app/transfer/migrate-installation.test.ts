import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createFileBlobStore } from '../../adapters/file-system/index.ts';
import { createPostgresBlobStore, openPostgres } from '../../adapters/postgres/index.ts';
import {
  describeWithPgBouncer,
  startPgBouncer,
  type TestPgBouncer,
} from '../../adapters/postgres/pgbouncer.contract.ts';
import {
  describeWithPostgres,
  startTestPostgres,
  type TestPostgres,
} from '../../adapters/postgres/postgres-server.contract.ts';
import { silentLogger, systemClock } from '../../kernel/index.ts';
import { type Store, undoCopy } from '../../store/index.ts';
import { createSamples } from '../../store/store-samples.contract.ts';
import type { LexicalIndex } from '../../vector-store/index.ts';
import { checkSecret } from '../secret-fingerprint.ts';
import { backupInstallation } from './backup-installation.ts';
import { migrateInstallation, planMigration, rollBackMigration } from './migrate-installation.ts';
import { openSnapshot, openTarget } from './open-places.ts';
import { findOwnRowsWith } from './own-rows.ts';
import type { Place } from './places.ts';
import { restoreDatabase, undoDatabaseRestore } from './restore-database.ts';
import { restoreInstallation } from './restore-installation.ts';
import { makeSampleData, openData, SAMPLE_SECRET, SAMPLE_SPACE, type Sample } from './sample-installation.contract.ts';

const never = new AbortController().signal;
const documentation = fileURLToPath(new URL('../../../../', import.meta.url));
const findOwnRows = findOwnRowsWith(documentation);

interface Opened {
  readonly store: Store;
  readonly lexicalIndex: LexicalIndex;
  readFile(hash: string): Promise<Buffer>;
}

/** Runs on the place as a server does. */
async function using<Result>(place: Place, work: (opened: Opened) => Promise<Result>): Promise<Result> {
  const opened = place.kind === 'sqlite' ? await openFolder(place.folder) : await openDatabase(place.url);
  return work(opened).finally(() => opened.store.stop());
}

async function openFolder(folder: string): Promise<Opened> {
  const blobs = createFileBlobStore({ folder: join(folder, 'blobs') });
  return { ...(await openData(folder)), readFile: (hash) => blobs.read(hash) };
}

async function openDatabase(url: string): Promise<Opened> {
  const postgres = openPostgres({ url, clock: systemClock, logger: silentLogger });
  await postgres.store.start().catch(async (error: unknown) => {
    await postgres.store.stop();
    throw error;
  });
  const local = createFileBlobStore({ folder: join(tmpdir(), 'not-there') });
  const blobs = createPostgresBlobStore({ databases: postgres.databases, local, now: systemClock.now });
  return { ...postgres, readFile: (hash) => blobs.read(hash) };
}

/** What is the same wherever the installation is. */
function look(place: Place, { tenantId, botId, chunkIds, blobHash }: Sample) {
  return using(place, async ({ store, lexicalIndex, readFile: read }) => {
    const { chunks, bots } = store.forTenant(tenantId);
    const search = (term: string) => lexicalIndex.search({ tenantId, botId }, { terms: [term], limit: 5 });
    const vectors = await chunks.vectorsOf(botId, SAMPLE_SPACE, chunkIds);
    return {
      bot: await bots.get(botId),
      hits: [await search('badgers'), await search('rivers'), await search('泳')],
      vectors: vectors.map(({ chunkId, windows }) => [chunkId, windows.map((window) => [...window])]).sort(),
      file: (await read(blobHash)).toString(),
    };
  });
}

const idsOf = (hits: readonly { readonly chunkId: string }[]) => hits.map(({ chunkId }) => chunkId);

/** The same suite whatever the other side is. */
function describeMigration(name: string, target: () => Promise<Place>): void {
  describe(`migration from a data folder to ${name}`, { timeout: 120_000 }, () => {
    let root: string;
    let from: Place;
    let sample: Sample;
    let folders = 0;
    const newFolder = async (): Promise<{ readonly kind: 'sqlite'; readonly folder: string }> => {
      folders += 1;
      return { kind: 'sqlite', folder: join(root, `folder-${folders}`) };
    };
    const newSource = async (seed: string) => {
      const place = await newFolder();
      await mkdir(place.folder);
      return { place, sample: await makeSampleData(place.folder, seed) };
    };
    beforeAll(async () => {
      root = await mkdtemp(join(tmpdir(), 'chatsphere-migration-'));
      ({ place: from, sample } = await newSource('one'));
    });
    afterAll(() => rm(root, { recursive: true }));

    const request = (given: { from?: Place; to: Place; onStep?: (step: string) => void; signal?: AbortSignal }) => ({
      config: { dataFolder: join(root, 'server'), secret: null },
      documentation,
      from: given.from ?? from,
      to: given.to,
      clock: systemClock,
      logger: silentLogger,
      onProgress: ({ step }: { readonly step: string }) => given.onStep?.(step),
      signal: given.signal ?? never,
    });
    /** Ends it at the first progress of the step. */
    const interruptAt = async (to: Place, step: string, source: Place = from) => {
      const interrupt = new AbortController();
      const onStep = (now: string) => {
        if (now === step) interrupt.abort(new Error('interrupted'));
      };
      await expect(
        migrateInstallation(request({ from: source, to, onStep, signal: interrupt.signal })),
      ).rejects.toThrow('interrupted');
    };

    it('brings everything there and back, with equal checksums and hits', async () => {
      const to = await target();
      const there = await migrateInstallation(request({ to }));
      expect(there).toMatchObject({ resumed: false, bots: 1, files: { count: 1, lost: [] } });
      expect(there.tables['chunk_vectors']?.rows).toBe(3);
      const before = await look(from, sample);
      expect(before.hits.map((hits) => hits.length)).toEqual([1, 1, 1]);
      const after = await look(to, sample);
      expect({ ...after, hits: before.hits }).toEqual(before);
      expect(after.hits.map(idsOf)).toEqual(before.hits.map(idsOf));
      const back = await newFolder();
      const returned = await migrateInstallation(request({ from: to, to: back }));
      expect(returned.tables).toEqual(there.tables);
      expect(await look(back, sample)).toEqual(before);
    });

    it('hands out new row numbers behind those that it brought', async () => {
      const to = await target();
      await migrateInstallation(request({ to }));
      await using(to, async ({ store }) => {
        const { sources } = store.forTenant(sample.tenantId);
        await sources.create(createSamples('later').source(sample.botId));
        const { items } = await sources.list(sample.botId, { limit: 10, order: 'asc' });
        expect(items.at(-1)?.id).toContain('later');
      });
    });

    it('goes on where it was interrupted, and lets no server start on half of it', async () => {
      const to = await target();
      for (const step of ['tenants', 'documents', 'chunk_vectors']) {
        await interruptAt(to, step);
        await expect(using(to, async () => {})).rejects.toMatchObject({ code: 'migration_unfinished' });
        await expect(migrateInstallation(request({ from: to, to: await newFolder() }))).rejects.toMatchObject({
          code: 'migration_unfinished',
        });
        await expect(openSnapshot(to, { ...request({ to }), dataFolder: join(root, 'server') })).rejects.toMatchObject({
          code: 'migration_unfinished',
        });
      }
      expect(await migrateInstallation(request({ to }))).toMatchObject({ resumed: true, bots: 1 });
      const there = await look(to, sample);
      expect(there.vectors).toEqual((await look(from, sample)).vectors);
    });

    it('finds a copy that is done, for whoever never heard of its end, unless something was written since', async () => {
      const to = await target();
      const first = await migrateInstallation(request({ to }));
      const again = await migrateInstallation(request({ to }));
      expect(again).toMatchObject({ resumed: true, bots: 1, tables: first.tables });
      await using(to, async ({ store }) => {
        await store.forTenant(sample.tenantId).bots.update(sample.botId, { name: 'Renamed there', updatedAt: 1 });
      });
      await expect(migrateInstallation(request({ to }))).rejects.toMatchObject({ code: 'restore_target_not_empty' });
    });

    it('tells when the source was written to between two runs', async () => {
      const source = await newSource('moving');
      const to = await target();
      await interruptAt(to, 'chunks', source.place);
      await using(source.place, async ({ store }) => {
        await store
          .forTenant(source.sample.tenantId)
          .bots.update(source.sample.botId, { name: 'Renamed', updatedAt: 1 });
      });
      await expect(migrateInstallation(request({ from: source.place, to }))).rejects.toMatchObject({
        code: 'migration_mismatch',
        message: expect.stringContaining('bots (1 rows in the source, 1 in the target)'),
      });
      await expect(migrateInstallation(request({ to }))).rejects.toMatchObject({ code: 'migration_unfinished' });
    });

    it('takes back what it did, and begins again', async () => {
      const to = await target();
      const back = () => rollBackMigration({ ...request({ to }), force: false });
      await expect(back()).rejects.toMatchObject({ code: 'nothing_to_roll_back' });
      await interruptAt(to, 'chunks');
      expect(await back()).toMatchObject({ state: 'copying' });
      await migrateInstallation(request({ to }));
      await using(to, async ({ store }) => store.system.setSetting('written', 'since'));
      await expect(back()).rejects.toMatchObject({
        code: 'migration_target_changed',
        message: expect.stringContaining('settings'),
      });
      expect(await rollBackMigration({ ...request({ to }), force: true })).toMatchObject({ state: 'done' });
      await migrateInstallation(request({ to }));
      expect((await look(to, sample)).file).toBe('file of one');
      expect((await look(from, sample)).file).toBe('file of one');
    });

    it('tells what taking it back would lose, and counts no use of what was brought', async () => {
      const to = await target();
      const samples = createSamples(`since-${folders}`);
      const source = await newSource(`kept-${folders}`);
      const { tenantId } = source.sample;
      const key = samples.apiKey();
      await using(source.place, ({ store }) => store.forTenant(tenantId).apiKeys.create(key));
      await migrateInstallation(request({ from: source.place, to }));
      const back = () => rollBackMigration({ ...request({ to }), force: false });
      await using(to, async ({ store }) => {
        await store.system.touchApiKeys([key.id], 12);
        await store.forTenant(tenantId).apiKeys.create(samples.apiKey());
        await store.system.usage.add(
          [0, 1].map(() => ({ ...samples.usage(), tenantId })),
          [],
        );
      });
      await expect(back()).rejects.toMatchObject({
        code: 'migration_target_changed',
        message: expect.stringContaining('since the migration: usage (2 more), api_keys (1 more). Emptying'),
      });
      await rollBackMigration({ ...request({ to }), force: true });
      await migrateInstallation(request({ from: source.place, to }));
      await using(to, ({ store }) => store.system.touchApiKeys([key.id], 14));
      expect(await back()).toMatchObject({ state: 'done' });
    });

    it('loses nothing when a server has only started and trained the demo bot', async () => {
      const to = await target();
      const samples = createSamples(`demo-${folders}`);
      const source = await newSource(`started-${folders}`);
      const { tenantId } = source.sample;
      await migrateInstallation(request({ from: source.place, to }));
      const bot = samples.bot();
      await using(to, async ({ store }) => {
        const tenant = store.forTenant(tenantId);
        await store.system.setSetting('demo_bot_id', bot.id);
        await store.system.setSetting('admin_key_hash', 'h');
        await tenant.bots.create(bot);
        const readme = samples.source(bot.id, { externalKey: 'README.md' });
        await tenant.sources.create(readme);
        await tenant.documents.add(bot.id, readme.id, samples.document(['what it is']));
        await tenant.generations.create({ ...samples.generation(bot.id), state: { type: 'active', at: 1 } });
        await tenant.apiKeys.create(samples.apiKey({ name: 'demo page', bots: [bot.id] }));
      });
      const back = () => rollBackMigration({ ...request({ to }), force: false });
      expect(await back()).toMatchObject({ state: 'done' });
      await migrateInstallation(request({ from: source.place, to }));
      await using(to, async ({ store }) => {
        await store.system.setSetting('demo_bot_id', bot.id);
        await store.forTenant(tenantId).bots.create(bot);
        await store.forTenant(tenantId).sources.create(samples.source(bot.id, { externalKey: 'my-notes.md' }));
      });
      await expect(back()).rejects.toMatchObject({ message: expect.stringContaining('sources (1 more)') });
    });

    it('takes back what was killed between the rows and the files', async () => {
      const to = await target();
      await migrateInstallation(request({ to }));
      const killed = await openTarget(to, { ...request({ to }), dataFolder: join(root, 'server') });
      await undoCopy(killed.connection, { evenIfChanged: false, findOwnRows, signal: never });
      await killed.close();
      await expect(using(to, async () => {})).rejects.toMatchObject({ code: 'migration_unfinished' });
      const back = () => rollBackMigration({ ...request({ to }), force: false });
      expect(await back()).toMatchObject({ state: 'emptying' });
      await expect(back()).rejects.toMatchObject({ code: 'nothing_to_roll_back' });
      await expect(using(to, ({ readFile: read }) => read(sample.blobHash))).rejects.toThrow();
      const again = await target();
      await migrateInstallation(request({ to: again }));
      const half = await openTarget(again, { ...request({ to: again }), dataFolder: join(root, 'server') });
      await undoCopy(half.connection, { evenIfChanged: false, findOwnRows, signal: never });
      await half.close();
      expect(await migrateInstallation(request({ to: again }))).toMatchObject({ resumed: false, bots: 1 });
      expect((await look(again, sample)).file).toBe('file of one');
    });

    it('says before it begins what it would refuse, with counts', async () => {
      const to = await target();
      if (to.kind === 'sqlite') await mkdir(to.folder);
      await using(to, async ({ store }) => {
        const tenant = createSamples('there').tenant();
        await store.tenants.create(tenant);
        await store.forTenant(tenant.id).bots.create(createSamples('there').bot());
      });
      const { refusal } = await planMigration(request({ to }));
      expect(refusal).toMatchObject({ code: 'restore_target_not_empty', rows: { tenants: 1, bots: 1 } });
      await expect(migrateInstallation(request({ to }))).rejects.toMatchObject({
        code: refusal?.code,
        message: refusal?.message,
      });
      const begun = await target();
      await interruptAt(begun, 'documents');
      expect(await planMigration(request({ to: begun }))).toMatchObject({
        target: { state: 'copying' },
        refusal: null,
      });
      const other = await newSource('other');
      expect(await planMigration(request({ from: other.place, to: begun }))).toMatchObject({
        refusal: { code: 'migration_unfinished', rows: { bots: 1 } },
      });
      await migrateInstallation(request({ to: begun }));
      expect(await planMigration(request({ to: begun }))).toMatchObject({ target: { state: 'done' }, refusal: null });
      expect(await planMigration(request({ from: other.place, to: begun }))).toMatchObject({
        refusal: { code: 'restore_target_not_empty' },
      });
    });

    it('says what it would do and changes nothing', async () => {
      const to = await target();
      const plan = await planMigration(request({ to }));
      expect(plan).toMatchObject({ files: 1, target: null, refusal: null, tables: { bots: 1, chunks: 3 } });
      await expect(rollBackMigration({ ...request({ to }), force: false })).rejects.toMatchObject({
        code: 'nothing_to_roll_back',
      });
    });

    it('backs up what it brought, and restores it into a data folder', async () => {
      const to = await target();
      const { tables } = await migrateInstallation(request({ to }));
      const folder = to.kind === 'sqlite' ? to.folder : join(root, 'server');
      const { path, manifest } = await backupInstallation({
        ...request({ to }),
        config: { dataFolder: folder, secret: SAMPLE_SECRET },
        place: to,
        program: 'test',
        target: join(root, `${folders}.backup`),
        leaveOutSecret: false,
      });
      expect(manifest.tables).toEqual(tables);
      expect(manifest.files).toMatchObject({ count: 1, lost: [] });
      const restored = await newFolder();
      await restoreInstallation({
        ...request({ to }),
        config: { dataFolder: restored.folder, secret: null },
        file: path,
        force: false,
      });
      expect(await look(restored, sample)).toEqual(await look(from, sample));
    });
  });
}

const targets: string[] = [];
afterAll(() => Promise.all(targets.map((folder) => rm(folder, { recursive: true }))));

describe('the secret of a data folder', { timeout: 60_000 }, () => {
  it('goes along with a migration, and stays when that is taken back', async () => {
    const root = await mkdtemp(join(tmpdir(), 'chatsphere-secret-'));
    targets.push(root);
    const [from, to] = ['from', 'to'].map((name) => ({ kind: 'sqlite' as const, folder: join(root, name) }));
    if (from === undefined || to === undefined) throw new Error('no places');
    await mkdir(from.folder);
    await makeSampleData(from.folder, 'secret');
    const secretIn = async (folder: string) => (await readFile(join(folder, 'secret'), 'utf8')).trim();
    await using(from, async ({ store }) => {
      const own = { secret: SAMPLE_SECRET, isConfigured: false, dataFolder: from.folder, mode: 'keep' } as const;
      await (await checkSecret(store, own)).keep();
    });
    const request = {
      // Servers on another database have this data folder.
      config: { dataFolder: to.folder, secret: null },
      documentation,
      ...{ from, to, clock: systemClock, logger: silentLogger, onProgress: () => {}, signal: never },
    };
    expect((await migrateInstallation(request)).secretFile).toBe(join(to.folder, 'secret'));
    expect(await secretIn(to.folder)).toBe(await secretIn(from.folder));
    await using(to, async ({ store }) => {
      const check = { isConfigured: true, dataFolder: to.folder, mode: 'check' } as const;
      await checkSecret(store, { ...check, secret: await secretIn(to.folder) });
      await expect(checkSecret(store, { ...check, secret: 'x'.repeat(64) })).rejects.toThrow(join(to.folder, 'secret'));
    });
    await rollBackMigration({ ...request, force: true });
    expect(await secretIn(to.folder)).toBe(await secretIn(from.folder));
    expect(await readdir(to.folder)).toEqual(expect.arrayContaining(['blobs', 'secret']));
    expect(await readdir(to.folder)).not.toContain('chatsphere.db');
  });
});

describeMigration('another one', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'chatsphere-target-'));
  targets.push(folder);
  return { kind: 'sqlite', folder: join(folder, 'data') };
});

describeWithPostgres('with PostgreSQL', () => {
  let server: TestPostgres;
  let databases = 0;
  beforeAll(async () => {
    server = await startTestPostgres();
  });
  afterAll(() => server.remove());
  const target = async (): Promise<Place> => {
    databases += 1;
    return { kind: 'postgres', url: await server.createDatabase(`target_${databases}`) };
  };
  describeMigration('PostgreSQL', target);

  describe('restore', { timeout: 120_000 }, () => {
    it('fills an empty database from a backup of a data folder, and leaves nothing of a damaged one', async () => {
      const root = await mkdtemp(join(tmpdir(), 'chatsphere-restore-'));
      targets.push(root);
      const from = { kind: 'sqlite', folder: join(root, 'data') } as const;
      await mkdir(from.folder);
      const sample = await makeSampleData(from.folder, 'restored');
      const place = await target();
      const config = { dataFolder: join(root, 'server'), secret: SAMPLE_SECRET };
      const parts = { documentation, clock: systemClock, logger: silentLogger, onProgress: () => {}, signal: never };
      const { path } = await backupInstallation({
        ...parts,
        config: { dataFolder: from.folder, secret: null },
        place: from,
        program: 'test',
        target: join(root, 'whole.backup'),
        leaveOutSecret: true,
      });
      const whole = await readFile(path);
      const damaged = join(root, 'damaged.backup');
      await writeFile(damaged, whole.subarray(0, whole.length - 20));
      const restore = (file: string) => restoreDatabase({ ...parts, config, place, file });
      await expect(restore(damaged)).rejects.toMatchObject({ code: 'backup_invalid' });
      expect(await restore(path)).toMatchObject({ keys: 'valid' });
      const before = await look(from, sample);
      const after = await look(place, sample);
      expect({ ...after, hits: before.hits }).toEqual(before);
      await expect(restore(path)).rejects.toMatchObject({ code: 'restore_target_not_empty' });
      expect(await undoDatabaseRestore({ ...parts, config, place, force: false })).toBe('a backup');
      expect(await restore(path)).toMatchObject({ keys: 'valid' });
    });
  });

  describeWithPgBouncer('through PgBouncer, which pools by transaction', () => {
    let pooler: TestPgBouncer;
    beforeAll(async () => {
      pooler = await startPgBouncer(server, { connections: 4 });
    });
    afterAll(() => pooler?.stop());
    const through = (database: string) => pooler.url.replace(/chatsphere$/, database);

    it('is one at a time, and leaves nothing behind that keeps the next one out', { timeout: 120_000 }, async () => {
      const folder = await mkdtemp(join(tmpdir(), 'chatsphere-pooled-'));
      targets.push(folder);
      await makeSampleData(folder, 'pooled');
      await server.createDatabase('pooled');
      const to = { kind: 'postgres', url: through('pooled') } as const;
      const request = {
        config: { dataFolder: folder, secret: null },
        documentation,
        ...{ from: { kind: 'sqlite', folder } as const, to, clock: systemClock, logger: silentLogger, signal: never },
      };
      for (let round = 0; round < 3; round += 1) {
        const meanwhile: Promise<unknown>[] = [];
        await migrateInstallation({
          ...request,
          onProgress() {
            if (meanwhile.length >= 4) return;
            const back = rollBackMigration({ ...request, force: true });
            back.catch(() => {});
            meanwhile.push(back);
          },
        });
        expect(meanwhile.length).toBeGreaterThan(0);
        for (const back of meanwhile) await expect(back).rejects.toMatchObject({ code: 'migration_source_in_use' });
        await rollBackMigration({ ...request, force: true });
      }
    });

    it('is refused while a server is on it, although its connections are those of the pooler', async () => {
      const folder = await mkdtemp(join(tmpdir(), 'chatsphere-pooled-'));
      targets.push(folder);
      await makeSampleData(folder, 'served');
      await server.createDatabase('served');
      const to = { kind: 'postgres', url: through('served') } as const;
      const request = {
        config: { dataFolder: folder, secret: null },
        documentation,
        ...{ from: { kind: 'sqlite', folder } as const, to, clock: systemClock, logger: silentLogger, signal: never },
      };
      await migrateInstallation({ ...request, onProgress: () => {} });
      await using(to, async ({ store }) => {
        const { leases } = store.system;
        await leases.live({ now: systemClock.now(), expiresAt: systemClock.now() + 15_000 });
        await expect(rollBackMigration({ ...request, force: true })).rejects.toMatchObject({
          code: 'migration_source_in_use',
        });
      });
    });
  });

  describe('migration', { timeout: 120_000 }, () => {
    it('copies nothing where vectors could not be searched, unless they are to be elsewhere', async () => {
      const folder = await mkdtemp(join(tmpdir(), 'chatsphere-migration-'));
      targets.push(folder);
      await makeSampleData(folder, 'bare');
      const url = await server.createDatabase('bare', { pgvector: false });
      const request = {
        config: { dataFolder: folder, secret: null },
        documentation,
        ...{ from: { kind: 'sqlite', folder } as const, to: { kind: 'postgres', url } as const },
        ...{ clock: systemClock, logger: silentLogger, signal: never, onProgress: () => {} },
      };
      const error = await migrateInstallation(request).catch((failure: unknown) => failure);
      expect(error).toMatchObject({ code: 'vector_extension_missing' });
      expect((error as Error).message).toMatch(/CREATE EXTENSION vector.*Nothing was copied/);
      const { message } = error as Error;
      const refusal = { code: 'vector_extension_missing', message, rows: {} };
      expect(await planMigration(request)).toMatchObject({ target: null, refusal });
      expect((await planMigration({ ...request, vectorStore: 'embedded' })).refusal).toBeNull();
      expect(await migrateInstallation({ ...request, vectorStore: 'embedded' })).toMatchObject({ bots: 1 });
    });

    it('is refused while servers are connected, or another one runs', async () => {
      const folder = await mkdtemp(join(tmpdir(), 'chatsphere-migration-'));
      targets.push(folder);
      await makeSampleData(folder, 'used');
      const to = await target();
      const request = {
        config: { dataFolder: folder, secret: null },
        documentation,
        ...{ from: { kind: 'sqlite', folder } as const, to, clock: systemClock, logger: silentLogger, signal: never },
      };
      const inUse = { code: 'migration_source_in_use' };
      await using(to, async () => {
        await expect(migrateInstallation({ ...request, onProgress: () => {} })).rejects.toMatchObject(inUse);
      });
      const other = { ...request, to: await target() };
      const meanwhile: Promise<unknown>[] = [];
      await migrateInstallation({
        ...other,
        onProgress() {
          if (meanwhile.length > 0) return;
          const back = rollBackMigration({ ...other, force: true });
          back.catch(() => {});
          meanwhile.push(back);
        },
      });
      await expect(meanwhile[0]).rejects.toMatchObject(inUse);
      expect((await readdir(folder)).filter((name) => /holding|lock/.test(name))).toEqual([]);
      expect((await readFile(join(folder, 'secret'), 'utf8')).trim()).toBe(SAMPLE_SECRET);
    });
  });
});
