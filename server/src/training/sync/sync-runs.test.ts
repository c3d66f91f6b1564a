import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createExactVectorStore } from '../../adapters/fakes/index.ts';
import { createFileBlobStore } from '../../adapters/file-system/index.ts';
import { openSqlite } from '../../adapters/sqlite/index.ts';
import { createIdMaker, createManualClock, silentLogger } from '../../kernel/index.ts';
import type { Bot, Store } from '../../store/index.ts';
import { createTrainer } from '../pipeline/trainer.ts';
import type { Trainer, UploadedFile } from '../ports.ts';
import { createSyncRuns, type SyncRuns } from './sync-runs.ts';

const DAY_MS = 24 * 60 * 60 * 1_000;

type Files = Readonly<Record<string, string>>;

const manifestOf = (files: Files) =>
  Object.entries(files).map(([externalKey, content]) => ({
    externalKey,
    contentHash: createHash('sha256').update(content).digest('hex'),
  }));

async function* uploads(files: Files): AsyncGenerator<UploadedFile> {
  for (const [name, content] of Object.entries(files)) {
    yield { name, mediaType: 'text/plain', content: Readable.from([Buffer.from(content)]) };
  }
}

describe('sync runs', () => {
  const clock = createManualClock();
  const createId = createIdMaker(clock.now);
  let folder: string;
  let store: Store;
  let trainer: Trainer;
  let syncRuns: SyncRuns;
  let forgotten: string[];
  let bot: Bot;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sync-runs-'));
    ({ store } = openSqlite({ file: ':memory:', clock, logger: silentLogger }));
    await store.start();
    forgotten = [];
    trainer = createTrainer({
      store,
      blobs: createFileBlobStore({ folder }),
      web: { check: (url) => new URL(url) },
      announce: async () => {},
      vectors: createExactVectorStore(),
      indexes: { keys: async () => ['fake@1:2'] },
      removedSources: { add: (id) => void forgotten.push(id) },
      clock,
      createId,
    });
    syncRuns = createSyncRuns({ store, trainer, clock, createId });
    const tenantId = createId('tnt');
    await store.tenants.create({ id: tenantId, name: 'T', createdAt: 1, updatedAt: 1 });
    bot = {
      id: createId('bot'),
      tenantId,
      name: 'B',
      slug: createId('bot').replace('_', '-'),
      instructions: null,
      model: null,
      temperature: null,
      maxOutputTokens: null,
      refusalMessage: null,
      retrieval: {},
      privacy: { pii: 'off' },
      metadata: {},
      createdAt: 1,
      updatedAt: 1,
    };
    await store.forTenant(tenantId).bots.create(bot);
  });
  afterEach(async () => {
    await store.stop();
    await rm(folder, { recursive: true });
  });

  const open = (files: Files, more: { readonly prune?: boolean; readonly prefix?: string } = {}) =>
    syncRuns.open(bot, { manifest: manifestOf(files), prune: more.prune ?? false, prefix: more.prefix ?? '' });
  const commit = (id: string, skip: readonly string[] = []) => syncRuns.commit(bot, id, { skip });
  const byKey = (key: string) => store.forTenant(bot.tenantId).sources.getByExternalKey(bot.id, key);
  const put = (files: Files) =>
    Promise.all(
      Object.entries(files).map(([key, content]) =>
        trainer.put(bot, key, {
          content: { type: 'file', files: uploads({ [key.split('/').at(-1) ?? key]: content }) },
        }),
      ),
    );
  const contents = async (): Promise<Files> => {
    const page = await store.forTenant(bot.tenantId).sources.keyed(bot.id, { prefix: '', after: 0, limit: 100 });
    return Object.fromEntries(page.map(({ externalKey, fileHash }) => [externalKey, fileHash ?? '']));
  };

  it('asks for what is missing or changed, deletes what is gone, and then asks for nothing', async () => {
    await put({ same: 'old text', changed: 'old text', gone: 'old text' });
    const files = { same: 'old text', changed: 'new text', added: 'new text' };
    const run = await open(files, { prune: true });
    expect(run).toMatchObject({
      status: 'open',
      upload: ['changed', 'added'],
      delete: ['gone'],
      counts: { unchanged: 1, upload: 2, delete: 1 },
    });
    await expect(commit(run.run.id)).rejects.toMatchObject({
      code: 'sync_run_incomplete',
      message: expect.stringContaining('"changed", "added"'),
    });
    const { changed, added } = files;
    const outcomes = await syncRuns.upload(bot, run.run.id, uploads({ changed, added }));
    expect(outcomes.map(({ externalKey, status }) => [externalKey, status])).toEqual([
      ['changed', 'replaced'],
      ['added', 'created'],
    ]);
    const goneId = (await byKey('gone'))?.id;
    const committed = await commit(run.run.id);
    expect(committed).toMatchObject({
      status: 'committed',
      run: { receipt: { sources: 1, files: 1 } },
      counts: { uploaded: 2, deleted: 1 },
    });
    expect(forgotten).toEqual([goneId]);
    expect(await commit(run.run.id)).toEqual(committed);
    expect(await open(files, { prune: true })).toMatchObject({ upload: [], delete: [], counts: { unchanged: 3 } });
  });

  it('takes files that are put by key, and keeps what was put again since the plan', async () => {
    await put({ kept: 'text', gone: 'text' });
    const { run } = await open({ added: 'text' }, { prune: true });
    await put({ added: 'text', kept: 'text' });
    const committed = await commit(run.id);
    expect(committed.counts).toMatchObject({ uploaded: 1, deleted: 1, kept: 1 });
    expect(Object.keys(await contents()).sort()).toEqual(['added', 'kept']);
  });

  it('does not delete a source that was deleted and made anew', async () => {
    await put({ a: 'text' });
    const { run } = await open({}, { prune: true });
    await trainer.remove(bot, (await byKey('a'))?.id ?? '');
    await trainer.add(bot, { type: 'text', title: 'T', content: 'other' }, { externalKey: 'a' });
    expect((await commit(run.id)).counts).toMatchObject({ deleted: 0, kept: 1 });
    expect(await byKey('a')).not.toBeNull();
  });

  it('looks at keys below the prefix alone, and never at what is no file', async () => {
    await put({ 'docs/a': 'text', 'docs/b': 'text', 'other/c': 'text' });
    await trainer.put(bot, 'docs/note', { content: { type: 'text', title: 'Note', content: 'By hand.' } });
    const { run } = await open({ 'docs/a': 'text' }, { prune: true, prefix: 'docs/' });
    await commit(run.id);
    expect(Object.keys(await contents()).sort()).toEqual(['docs/a', 'docs/note', 'other/c']);
  });

  it('refuses single files that cannot be trained on or were not asked for', async () => {
    const files = { 'good.txt': 'text', 'empty.txt': ' ', 'late.txt': 'text' };
    const { run } = await open(files);
    const outcomes = await syncRuns.upload(bot, run.id, uploads({ ...files, 'stray.txt': 'text' }));
    expect(outcomes).toMatchObject([
      { externalKey: 'good.txt', status: 'created' },
      { externalKey: 'empty.txt', status: 'refused', error: { code: 'empty_content' } },
      { externalKey: 'late.txt', status: 'created' },
      { externalKey: 'stray.txt', status: 'refused', error: { code: 'invalid_request' } },
    ]);
    expect((await commit(run.id)).counts).toMatchObject({ upload: 3, uploaded: 2, refused: 1 });
    expect(Object.keys(await contents()).sort()).toEqual(['good.txt', 'late.txt']);
  });

  it('commits without files that the client names, and passes on a form that breaks off', async () => {
    const { run } = await open({ a: 'text', b: 'text' });
    const broken = async function* (): AsyncGenerator<UploadedFile> {
      yield* uploads({ a: 'text' });
      throw new Error('broken off');
    };
    await expect(syncRuns.upload(bot, run.id, broken())).rejects.toThrow('broken off');
    expect((await syncRuns.get(bot, run.id)).upload).toEqual(['b']);
    expect((await commit(run.id, ['b'])).counts).toMatchObject({ uploaded: 1, skipped: 1 });
  });

  it('changes metadata without an upload', async () => {
    await put({ a: 'text' });
    const [entry] = manifestOf({ a: 'text' });
    if (entry === undefined) throw new Error('there is one');
    const request = { manifest: [{ ...entry, metadata: { team: 'b' } }], prune: false, prefix: '' };
    const opened = await syncRuns.open(bot, request);
    expect(opened).toMatchObject({ upload: [], counts: { relabel: 1, unchanged: 0 } });
    await commit(opened.run.id);
    expect((await byKey('a'))?.metadata).toEqual({ team: 'b' });
    expect((await syncRuns.open(bot, request)).counts).toMatchObject({ relabel: 0, unchanged: 1 });
  });

  it('ends by cancelling or by time, and changes nothing after that', async () => {
    await put({ a: 'text' });
    const { run } = await open({}, { prune: true });
    expect(await syncRuns.cancel(bot, run.id)).toMatchObject({ status: 'cancelled' });
    expect(await syncRuns.cancel(bot, run.id)).toMatchObject({ status: 'cancelled' });
    await expect(commit(run.id)).rejects.toMatchObject({ code: 'sync_run_closed' });
    const late = await open({ b: 'text' }, { prune: true });
    await clock.advance(DAY_MS);
    expect(await syncRuns.get(bot, late.run.id)).toMatchObject({ status: 'expired' });
    await expect(commit(late.run.id)).rejects.toMatchObject({ code: 'sync_run_closed' });
    await expect(syncRuns.upload(bot, late.run.id, uploads({ b: 'text' }))).rejects.toMatchObject({
      code: 'sync_run_closed',
    });
    await expect(syncRuns.get(bot, 'syn_none')).rejects.toMatchObject({ code: 'sync_run_not_found' });
    expect(Object.keys(await contents())).toEqual(['a']);
    const listed = await syncRuns.list(bot, { limit: 10, order: 'asc' });
    expect(listed.items.map(({ status }) => status)).toEqual(['cancelled', 'expired']);
  });

  it('goes on with a commit that was cut short', async () => {
    const many = Object.fromEntries(Array.from({ length: 60 }, (_, number) => [`f${number}`, 'text']));
    await put(many);
    const { run } = await open({}, { prune: true });
    let parts = 0;
    const dying = createSyncRuns({
      store,
      clock,
      createId,
      trainer: {
        ...trainer,
        forget: async () => {
          parts += 1;
          if (parts === 2) throw new Error('killed');
        },
      },
    });
    await expect(dying.commit(bot, run.id, { skip: [] })).rejects.toThrow('killed');
    expect(Object.keys(await contents())).toHaveLength(10);
    expect((await commit(run.id)).run.receipt.sources).toBe(60);
    expect(await contents()).toEqual({});
  });

  it('makes any bot hold any folder, and does no work the second time', async () => {
    const folders = fc.dictionary(
      fc.constantFrom('a', 'b', 'c', 'd/e', 'd/f'),
      fc.constantFrom('one text', 'two text', 'three text'),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(folders, { minLength: 1, maxLength: 4 }), async (history) => {
        for (const files of history) {
          const { run, upload } = await open(files, { prune: true });
          const asked = Object.fromEntries(Object.entries(files).filter(([key]) => upload.includes(key)));
          await syncRuns.upload(bot, run.id, uploads(asked));
          await commit(run.id);
          const expected = manifestOf(files).map(({ externalKey, contentHash }) => [externalKey, contentHash]);
          expect(await contents()).toEqual(Object.fromEntries(expected));
          const again = await open(files, { prune: true });
          expect(again).toMatchObject({ upload: [], delete: [] });
          await commit(again.run.id);
        }
      }),
      { numRuns: 25 },
    );
  });
});
