import { createHash } from 'node:crypto';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createFileBlobStore, lockDataFolder } from '../../adapters/file-system/index.ts';
import { openSqliteForFilling } from '../../adapters/sqlite/index.ts';
import { silentLogger, systemClock } from '../../kernel/index.ts';
import { type TransferConnection, verifyBackup } from '../../store/index.ts';
import { migrate } from '../../store/migrations.ts';
import { createSamples } from '../../store/store-samples.contract.ts';
import { backupInstallation } from './backup-installation.ts';
import { restoreInstallation, undoRestore } from './restore-installation.ts';
import { makeSampleData, openData, SAMPLE_SECRET, SAMPLE_SPACE, type Sample } from './sample-installation.contract.ts';

const never = new AbortController().signal;

describe('backup and restore', { timeout: 120_000 }, () => {
  let root: string;
  let sample: Sample;
  let file: string;
  let places = 0;
  const place = () => {
    places += 1;
    return join(root, `place-${places}`);
  };
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'chatsphere-backup-'));
    const folder = join(root, 'data');
    await mkdir(folder);
    sample = await makeSampleData(folder, 'one');
    file = (await backup(folder, join(root, 'one.backup'))).path;
  });
  afterAll(() => rm(root, { recursive: true }));

  const parts = { clock: systemClock, logger: silentLogger, onProgress: () => {}, signal: never };
  const backup = (
    dataFolder: string,
    target: string,
    changes: { leaveOutSecret?: boolean; signal?: AbortSignal } = {},
  ) =>
    backupInstallation({
      ...parts,
      config: { dataFolder, secret: null },
      place: { kind: 'sqlite', folder: dataFolder },
      program: 'test',
      target,
      leaveOutSecret: false,
      ...changes,
    });
  const restore = (dataFolder: string, from = file, changes: { force?: boolean; secret?: string } = {}) =>
    restoreInstallation({
      ...parts,
      config: { dataFolder, secret: changes.secret ?? null },
      file: from,
      force: changes.force ?? false,
    });

  it('makes the same installation, found by words and by vectors, without an embedder', async () => {
    const folder = place();
    expect(await restore(folder)).toMatchObject({ keys: 'valid', before: null });
    const { store, lexicalIndex } = await openData(folder);
    const { chunks, bots, sources } = store.forTenant(sample.tenantId);
    const bot = { tenantId: sample.tenantId, botId: sample.botId };
    const found = await lexicalIndex.search(bot, { terms: ['badgers'], limit: 5 });
    expect(found.map(({ chunkId }) => chunkId)).toEqual(sample.chunkIds.slice(0, 1));
    const spaced = await lexicalIndex.search(bot, { terms: ['泳'], limit: 5 });
    expect(spaced.map(({ chunkId }) => chunkId)).toEqual(sample.chunkIds.slice(2));
    const vectors = await chunks.vectorsOf(sample.botId, SAMPLE_SPACE, sample.chunkIds);
    expect(vectors.map(({ windows }) => [...(windows[0] ?? [])])).toEqual(
      [0, 1, 2].map((first) => [first, Math.fround(1 / 3)]),
    );
    expect(await bots.get(sample.botId)).toMatchObject({ temperature: 0.25, metadata: { quote: '"\u2028\u{1f98a}' } });
    const blobs = createFileBlobStore({ folder: join(folder, 'blobs') });
    expect((await blobs.read(sample.blobHash)).toString()).toBe('file of one');
    expect((await readFile(join(folder, 'secret'), 'utf8')).trim()).toBe(SAMPLE_SECRET);
    // It goes on: new rows come behind those that were restored.
    const samples = createSamples('later');
    await sources.create(samples.source(sample.botId));
    expect((await sources.list(sample.botId, { limit: 10, order: 'asc' })).items.at(-1)?.id).toContain('later');
    await store.stop();
    expect((await readdir(folder)).filter((name) => !name.startsWith('chatsphere.db')).sort()).toEqual([
      'blobs',
      'secret',
    ]);
  });

  it('backs up what was restored to the same rows', async () => {
    const folder = place();
    const { manifest } = await restore(folder);
    const again = await backup(folder, join(root, 'again.backup'));
    expect(again.manifest.tables).toEqual(manifest.tables);
  });

  it('is of one moment while others write', async () => {
    const folder = place();
    await restore(folder);
    const { store } = await openData(folder);
    const samples = createSamples('busy');
    const owned = store.forTenant(sample.tenantId);
    const writing = new AbortController();
    let written = 0;
    const writer = (async () => {
      while (!writing.signal.aborted) {
        await owned.transaction(async ({ sources, documents }) => {
          const source = samples.source(sample.botId);
          await sources.create(source);
          await documents.add(sample.botId, source.id, samples.document([`busy text ${written}`]));
        });
        written += 1;
      }
    })();
    await expect.poll(() => written).toBeGreaterThan(5);
    const { manifest, path } = await backup(folder, join(root, 'busy.backup'));
    const writtenThen = written;
    await expect.poll(() => written).toBeGreaterThan(writtenThen);
    writing.abort();
    await writer;
    await store.stop();
    const { sources, documents, chunks } = manifest.tables;
    expect(sources?.rows).toBeGreaterThan(5);
    expect([documents?.rows, chunks?.rows]).toEqual([sources?.rows, (sources?.rows ?? 0) + 2]);
    expect((await restore(place(), path)).manifest.tables).toEqual(manifest.tables);
  });

  it('keeps a file whose source is deleted, and swept, while the backup is made', async () => {
    const folder = place();
    await restore(folder);
    const blobs = createFileBlobStore({ folder: join(folder, 'blobs') });
    let swept = 0;
    const { manifest } = await backupInstallation({
      ...parts,
      config: { dataFolder: folder, secret: null },
      place: { kind: 'sqlite', folder },
      program: 'test',
      target: join(root, 'swept.backup'),
      leaveOutSecret: false,
      onProgress: ({ step }) => {
        if (step === 'settings' || swept > 0) return;
        swept = 1;
        void blobs.sweep(new Set(), Date.now() + 60_000);
      },
    });
    expect(manifest.files).toMatchObject({ count: 1, lost: [] });
    await expect(blobs.read(sample.blobHash)).rejects.toMatchObject({ code: 'internal_error' });
    // Gone before the backup begins: said, and no reason to have no backup.
    const again = await backup(folder, join(root, 'lost.backup'));
    expect(again.manifest.files).toMatchObject({ count: 0, lost: [sample.blobHash] });
    expect((await readdir(folder)).filter((name) => name.startsWith('holding'))).toEqual([]);
  });

  it('says what is with the secret', async () => {
    const without = await backup(join(root, 'data'), join(root, 'no-secret.backup'), { leaveOutSecret: true });
    expect(gunzipSync(await readFile(without.path)).includes(SAMPLE_SECRET)).toBe(false);
    expect(await restore(place(), without.path)).toMatchObject({ keys: 'other_secret' });
    expect(await restore(place(), without.path, { secret: SAMPLE_SECRET })).toMatchObject({ keys: 'valid' });
    expect(await restore(place(), file, { secret: 'other'.repeat(8) })).toMatchObject({ keys: 'other_secret' });
  });

  it('leaves nothing of a backup that is interrupted, and replaces earlier backups only', async () => {
    const target = join(root, 'kept.backup');
    await cp(file, target);
    const interrupt = new AbortController();
    const running = backupInstallation({
      ...parts,
      config: { dataFolder: join(root, 'data'), secret: null },
      place: { kind: 'sqlite', folder: join(root, 'data') },
      program: 'test',
      target,
      leaveOutSecret: false,
      onProgress: () => interrupt.abort(new Error('enough')),
      signal: interrupt.signal,
    });
    await expect(running).rejects.toThrow('enough');
    expect(await readFile(target)).toEqual(await readFile(file));
    expect((await readdir(root)).filter((name) => name.endsWith('.part'))).toEqual([]);
    const other = join(root, 'letter.txt');
    await writeFile(other, 'dear');
    await expect(backup(join(root, 'data'), other)).rejects.toMatchObject({ code: 'path_not_writable' });
    expect(await readFile(other, 'utf8')).toBe('dear');
  });

  it('puts what is there aside when told to, and brings it back', async () => {
    const folder = place();
    await mkdir(folder);
    const own = await makeSampleData(folder, 'own');
    await expect(restore(folder)).rejects.toMatchObject({ code: 'restore_target_not_empty' });
    const lock = await lockDataFolder(folder);
    await expect(restore(folder, file, { force: true })).rejects.toMatchObject({ code: 'data_folder_locked' });
    await lock.release();
    const { before } = await restore(folder, file, { force: true });
    const hasBot = async ({ tenantId, botId }: Sample) => {
      const { store } = await openData(folder);
      const bot = await store.forTenant(tenantId).bots.get(botId);
      await store.stop();
      return bot !== null;
    };
    expect([await hasBot(sample), await hasBot(own)]).toEqual([true, false]);
    expect(await undoRestore(folder, systemClock)).toMatchObject({ broughtBack: before });
    expect([await hasBot(sample), await hasBot(own)]).toEqual([false, true]);
  });

  it('refuses a damaged file, and changes nothing', async () => {
    const folder = place();
    await restore(folder);
    const listed = async () => {
      const names = (await readdir(folder, { recursive: true })).sort();
      const hash = createHash('sha256').update(await readFile(join(folder, 'chatsphere.db')));
      return [names, hash.digest('hex')];
    };
    const before = await listed();
    const whole = await readFile(file);
    const damaged = join(root, 'damaged.backup');
    const text = gunzipSync(whole);
    // Some bits of compressed data say the same in another way.
    const saysTheSame = (bytes: Uint8Array): boolean => {
      try {
        return gunzipSync(bytes).equals(text);
      } catch {
        return false;
      }
    };
    const cutOrFlipped = fc.oneof(
      fc.nat(whole.length - 1).map((length) => whole.subarray(0, length)),
      // The bytes of the header behind the first three do not matter to what is in it.
      fc.tuple(fc.integer({ min: 10, max: whole.length - 1 }), fc.nat(7)).map(([at, bit]) => flipped(whole, at, bit)),
    );
    const packed = cutOrFlipped.filter((bytes) => !saysTheSame(bytes));
    const unpacked = fc.oneof(
      fc.nat(text.length - 1).map((length) => gzipSync(text.subarray(0, length))),
      fc.tuple(fc.nat(text.length - 1), fc.nat(7)).map(([at, bit]) => gzipSync(flipped(text, at, bit))),
    );
    await fc.assert(
      fc.asyncProperty(fc.oneof(packed, unpacked), async (bytes) => {
        await writeFile(damaged, bytes);
        await expect(verifyBackup(damaged, never)).rejects.toMatchObject({
          code: expect.stringMatching(/^backup_(invalid|version_unsupported)$/),
        });
      }),
      { numRuns: 150 },
    );
    await writeFile(damaged, 'A letter, and no backup.');
    await expect(verifyBackup(damaged, never)).rejects.toThrow('it is no backup');
    for (const bytes of [
      whole.subarray(0, whole.length - 9),
      flipped(whole, whole.length >> 1, 3),
      Buffer.from('no'),
    ]) {
      await writeFile(damaged, bytes);
      await expect(restore(folder, damaged, { force: true })).rejects.toMatchObject({ code: 'backup_invalid' });
      expect(await listed()).toEqual(before);
    }
  });

  it('refuses what a newer version wrote', async () => {
    const lines = gunzipSync(await readFile(file))
      .toString()
      .split('\n');
    const header = JSON.parse(lines[0] ?? '') as Record<string, unknown>;
    const newer = join(root, 'newer.backup');
    for (const change of [{ version: 2, other: 'fields' }, { migrations: [1, 999] }]) {
      await writeFile(newer, gzipSync([JSON.stringify({ ...header, ...change }), ...lines.slice(1)].join('\n')));
      await expect(restore(place(), newer)).rejects.toMatchObject({ code: 'backup_version_unsupported' });
    }
  });

  it('brings a backup of an older schema to this one', async () => {
    const folder = place();
    await restore(folder);
    const old = place();
    await mkdir(old);
    await withDatabase(old, async ({ database, engine }) => {
      await migrate(database, engine.dialect, { now: 1, only: [1, 2, 3, 4, 5] });
      await database
        .insertInto('tenants')
        .values({ id: 'tnt_old', name: 'Old', created_at: 1, updated_at: 1 })
        .execute();
    });
    const { path, header } = await backup(old, join(root, 'old.backup'));
    expect(header.migrations).toEqual([1, 2, 3, 4, 5]);
    const restored = place();
    await restore(restored, path);
    const { store } = await openData(restored);
    expect(await store.tenants.get('tnt_old')).toMatchObject({ name: 'Old' });
    expect(await store.forTenant('tnt_old').bots.get('any')).toBeNull();
    await store.stop();
  });
});

function flipped(bytes: Buffer, at: number, bit: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[at] = (copy[at] ?? 0) ^ (1 << bit);
  return copy;
}

async function withDatabase(folder: string, work: (connection: TransferConnection) => Promise<void>): Promise<void> {
  const connection = openSqliteForFilling({ file: join(folder, 'chatsphere.db'), logger: silentLogger });
  await work(connection).finally(() => connection.close());
}
