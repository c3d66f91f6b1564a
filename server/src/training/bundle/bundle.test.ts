import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createExactVectorStore } from '../../adapters/fakes/index.ts';
import { createFileBlobStore } from '../../adapters/file-system/index.ts';
import { openSqlite } from '../../adapters/sqlite/index.ts';
import { createIdMaker, createManualClock, silentLogger } from '../../kernel/index.ts';
import type { BlobStore, Bot, Source, Store } from '../../store/index.ts';
import { type LexicalIndex, queryTerms, type VectorStore } from '../../vector-store/index.ts';
import { chunkHash } from '../chunking/chunk-making.ts';
import { createBundleExporter, type VectorSpace } from './bundle-export.ts';
import { type BundleImporter, createBundleImporter } from './bundle-import.ts';
import { createUnfinishedImports, type UnfinishedImports } from './unfinished-imports.ts';

const SPACE: VectorSpace = { generation: 'fake/one@1:4', dimensions: 4 };
const TEXTS = ['Vacation is requested in the portal.', 'Badgers are refunded within ten days.'];

const unit = (seed: number): Float32Array => {
  const vector = Float32Array.from([seed, 1, 2, 3]);
  const length = Math.hypot(...vector);
  return vector.map((value) => value / length);
};

describe('bundles', () => {
  const clock = createManualClock();
  const createId = createIdMaker(clock.now);
  const tenantId = createId('tnt');
  let folder: string;
  let store: Store;
  let lexical: LexicalIndex;
  let blobs: BlobStore;
  let vectors: VectorStore;
  let unfinished: UnfinishedImports;
  let announced: string[];
  let completed: string[];
  let bot: Bot;

  const tenant = () => store.forTenant(tenantId);
  const importer = (
    space = SPACE,
    more: { readonly maxDocumentSize?: number; readonly store?: Pick<Store, 'forTenant'> } = {},
  ): BundleImporter =>
    createBundleImporter({
      store,
      blobs,
      vectors,
      spaceOf: async () => space,
      completeIndex: async ({ id }) => void completed.push(id),
      unfinished,
      announce: async (id) => void announced.push(id),
      removeBot: (made) => tenant().bots.delete(made.id),
      clock,
      createId,
      maxFileBytes: 1_000_000,
      ...more,
    });

  /** The store, which counts the transactions that are asked for. */
  function countingTransactions(): Pick<Store, 'forTenant'> & { begun: number } {
    const counting: Pick<Store, 'forTenant'> & { begun: number } = {
      begun: 0,
      forTenant(id) {
        const own = store.forTenant(id);
        return {
          ...own,
          transaction(work) {
            counting.begun += 1;
            return own.transaction(work);
          },
        };
      },
    };
    return counting;
  }

  async function exported(files = true): Promise<string> {
    const exporter = createBundleExporter({ store, blobs, spaceOf: async () => SPACE, clock });
    const lines: string[] = [];
    for await (const line of exporter.export(bot, { files })) lines.push(line);
    return lines.join('');
  }

  async function addSource(): Promise<Source> {
    const file = await blobs.put(Readable.from([Buffer.from(TEXTS.join('\n'))]), { maxBytes: 1_000 });
    const source: Omit<Source, 'tenantId'> = {
      id: createId('src'),
      botId: bot.id,
      type: 'file',
      title: 'Rules',
      url: null,
      status: 'ready',
      stage: null,
      progress: { done: 2, total: 2 },
      counts: { documents: 1, chunks: 2, tokens: 14, reused: 0 },
      lastError: null,
      jobId: null,
      externalKey: 'rules.txt',
      metadata: { team: 'people' },
      chunking: { type: 'auto' },
      inputs: [{ name: 'rules.txt', mediaType: 'text/plain', blobHash: file.hash, bytes: file.bytes }],
      contentHash: 'c'.repeat(64),
      createdAt: 1,
      updatedAt: 1,
    };
    await tenant().sources.create(source);
    const text = TEXTS.join('\n');
    const chunks = TEXTS.map((part, position) => {
      const start = text.indexOf(part);
      const hash = chunkHash('Rules', [], part);
      const place = { position, start, end: start + part.length, headingPath: [], page: position + 1 };
      return { id: createId('chk'), ...place, text: part, tokens: 7, hash };
    });
    const document = { id: createId('doc'), title: 'Rules', url: null, inputName: 'rules.txt', lastError: null };
    await tenant().documents.add(bot.id, source.id, {
      document: { ...document, state: 'searchable', contentHash: 'd'.repeat(64), text, tokens: 14 },
      chunks,
    });
    await tenant().chunks.putVectors(
      SPACE.generation,
      chunks.map(({ id, position }) => ({ chunkId: id, windows: [unit(position), unit(position + 5)] })),
    );
    return { ...source, tenantId };
  }

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'bundle-'));
    ({ store, lexicalIndex: lexical } = openSqlite({ file: ':memory:', clock, logger: silentLogger }));
    await store.start();
    blobs = createFileBlobStore({ folder });
    vectors = createExactVectorStore();
    unfinished = createUnfinishedImports(store.system.leases);
    announced = [];
    completed = [];
    await store.tenants.create({ id: tenantId, name: 'T', createdAt: 1, updatedAt: 1 });
    bot = {
      id: createId('bot'),
      tenantId,
      name: 'Helper',
      slug: 'helper',
      instructions: 'Be kind.',
      model: null,
      temperature: 0.3,
      maxOutputTokens: null,
      refusalMessage: null,
      retrieval: { maxNumResults: 7, hybrid: { embeddingWeight: 0.2, textWeight: 0.8 } },
      privacy: { pii: 'off' },
      metadata: { a: 1 },
      chunking: { type: 'static', maxChunkSizeTokens: 300, chunkOverlapTokens: 50 },
      prompt: { text: '{{rules}} {{passages}}' },
      createdAt: 1,
      updatedAt: 1,
    };
    await tenant().bots.create(bot);
    await addSource();
  });
  afterEach(async () => {
    await store.stop();
    await rm(folder, { recursive: true });
  });

  it('carries settings, sources, documents, chunks and vectors over', async () => {
    const { bot: made, counts } = await importer().import(tenantId, Readable.from([await exported()]), {});
    expect(counts).toEqual({ sources: 1, documents: 1, chunks: 2, reused: 2 });
    const { id, slug, createdAt, updatedAt, ...settings } = made;
    expect(slug).toBe('helper-2');
    expect(settings).toEqual({
      tenantId,
      name: bot.name,
      instructions: bot.instructions,
      model: null,
      temperature: 0.3,
      maxOutputTokens: null,
      refusalMessage: null,
      retrieval: bot.retrieval,
      privacy: bot.privacy,
      metadata: bot.metadata,
      chunking: bot.chunking,
      prompt: bot.prompt,
    });
    const [source] = (await tenant().sources.list(id, { limit: 10, order: 'asc' })).items;
    expect(source).toMatchObject({
      status: 'ready',
      externalKey: 'rules.txt',
      metadata: { team: 'people' },
      chunking: { type: 'auto' },
      counts: { documents: 1, chunks: 2, tokens: 14 },
    });
    const hits = await lexical.search({ tenantId, botId: id }, { terms: queryTerms('badgers'), limit: 5 });
    const [found] = await tenant().chunks.getSearchable(
      id,
      hits.map((hit) => hit.chunkId),
    );
    expect(found).toMatchObject({ text: TEXTS[1], page: 2 });
    const namespace = { tenantId, botId: id, generation: SPACE.generation };
    const near = await vectors.search(namespace, { vector: unit(6), limit: 1 });
    expect(near).toEqual([{ chunkId: found?.id, score: expect.closeTo(1, 5) }]);
    expect(announced).toEqual([]);
  });

  it('writes a small bot in one transaction', async () => {
    for (let number = 0; number < 5; number += 1) {
      const [source] = (await tenant().sources.list(bot.id, { limit: 1, order: 'asc' })).items;
      await tenant().sources.create({ ...(source as Source), id: createId('src'), externalKey: `${number}.txt` });
    }
    const counted = countingTransactions();
    const { counts } = await importer(SPACE, { store: counted }).import(
      tenantId,
      Readable.from([await exported()]),
      {},
    );
    expect(counts).toMatchObject({ sources: 6, documents: 1, chunks: 2 });
    expect(counted.begun).toBe(1);
  });

  it('writes a source that is too large for one transaction in several', async () => {
    const [source] = (await tenant().sources.list(bot.id, { limit: 1, order: 'asc' })).items;
    const long = 'Moles are paid at once. '.repeat(40_000);
    for (let number = 0; number < 5; number += 1) {
      const document = {
        id: createId('doc'),
        title: `Long ${number}`,
        url: null,
        inputName: 'long.txt',
        lastError: null,
      };
      const place = { position: 0, start: 0, end: 23, headingPath: [], page: null };
      await tenant().documents.add(bot.id, source?.id ?? '', {
        document: { ...document, state: 'searchable', contentHash: 'e'.repeat(64), text: long, tokens: 7 },
        chunks: [
          { id: createId('chk'), ...place, text: long.slice(0, 23), tokens: 7, hash: chunkHash('Long', [], 'x') },
        ],
      });
    }
    const counted = countingTransactions();
    const { bot: made } = await importer(SPACE, { store: counted }).import(
      tenantId,
      Readable.from([await exported()]),
      {},
    );
    expect(counted.begun).toBeGreaterThan(1);
    const [copy] = (await tenant().sources.list(made.id, { limit: 1, order: 'asc' })).items;
    expect(copy).toMatchObject({ status: 'ready', stage: null, counts: { documents: 6, chunks: 7 } });
    expect(await tenant().documents.idsOf(copy?.id ?? '', ['searchable'])).toHaveLength(6);
    const hits = await lexical.search({ tenantId, botId: made.id }, { terms: queryTerms('moles'), limit: 10 });
    expect(hits).toHaveLength(5);
  });

  it('carries golden questions over, whose sources are the new ones', async () => {
    const [source] = (await tenant().sources.list(bot.id, { limit: 1, order: 'asc' })).items;
    const question = { id: createId('gen'), botId: bot.id, question: 'When are badgers refunded?', createdAt: 1 };
    const expected = { sourceIds: [source?.id ?? ''], text: 'ten days' };
    await tenant().goldenQuestions.create({ ...question, expected });
    const { bot: made } = await importer().import(tenantId, Readable.from([await exported()]), {});
    const [copy] = (await tenant().sources.list(made.id, { limit: 1, order: 'asc' })).items;
    const questions = await tenant().goldenQuestions.list(made.id, { limit: 10, order: 'asc' });
    expect(questions.items).toMatchObject([
      { question: question.question, expected: { sourceIds: [copy?.id], text: 'ten days' } },
    ]);
  });

  it('carries the versions of the prompt over, with their times', async () => {
    const versions = [
      { version: 'wrong@1', prompt: { text: '{{rules}} {{passages}} Once.' }, chosenAt: 20 },
      { version: 'customer_service@1', prompt: { template: 'customer_service@1' }, chosenAt: 30 },
      { version: 'gone@9', prompt: { template: 'gone@9' }, chosenAt: 40 },
    ];
    for (const each of versions) await tenant().promptVersions.keep({ ...each, id: createId('prm'), botId: bot.id });
    await tenant().promptVersions.keep({ ...versions[0], id: createId('prm'), botId: bot.id, chosenAt: 50 } as never);
    const { bot: made } = await importer().import(tenantId, Readable.from([await exported()]), {});
    const { items } = await tenant().promptVersions.list(made.id, { limit: 10, order: 'asc' });
    expect(items).toMatchObject([
      { version: expect.stringMatching(/^custom@/), prompt: versions[0]?.prompt, createdAt: 20, chosenAt: 50 },
      { version: 'customer_service@1', prompt: { template: 'customer_service@1' }, createdAt: 30, chosenAt: 30 },
      { version: expect.stringMatching(/^custom@/), prompt: bot.prompt, chosenAt: made.createdAt },
    ]);
  });

  it('still reads a bundle from a time without versions of prompts', async () => {
    const old = (await exported()).replace(',"prompts":[]', '');
    expect(old).not.toContain('"prompts"');
    const { bot: made } = await importer().import(tenantId, Readable.from([old]), {});
    const { items } = await tenant().promptVersions.list(made.id, { limit: 10, order: 'asc' });
    expect(items.map(({ prompt }) => prompt)).toEqual([bot.prompt]);
  });

  it.each([
    ['more versions of prompts than are kept', 201, 10],
    ['a version of a prompt that is longer than one may be', 1, 20_001],
  ])('refuses %s', async (_, count, length) => {
    const version = { prompt: { text: 'x'.repeat(length) }, created_at: 1, chosen_at: 1 };
    const many = `"prompts":${JSON.stringify(Array.from({ length: count }, () => version))}`;
    const damaged = (await exported()).replace('"prompts":[]', many);
    await expect(importer().import(tenantId, Readable.from([damaged]), {})).rejects.toMatchObject({
      code: 'bundle_invalid',
    });
  });

  it('reads its own gzipped export however it is cut into pieces', async () => {
    const bytes = gzipSync(await exported());
    const pieces = Array.from({ length: Math.ceil(bytes.length / 37) }, (_, n) => bytes.subarray(n * 37, n * 37 + 37));
    const { counts } = await importer().import(tenantId, Readable.from(pieces), { slug: 'copy', name: 'Copy' });
    expect(counts.chunks).toBe(2);
    expect(await tenant().bots.get('copy')).toMatchObject({ name: 'Copy' });
  });

  it('embeds again only when the vectors are of another model', async () => {
    const other = { generation: 'fake/two@1:4', dimensions: 4 };
    const { bot: made, counts } = await importer(other).import(tenantId, Readable.from([await exported()]), {});
    expect(counts).toMatchObject({ chunks: 2, reused: 0 });
    expect(completed).toEqual([made.id]);
  });

  it('leaves nothing of a bundle that was cut off, wherever', async () => {
    const lines = (await exported()).split('\n').filter((line) => line !== '');
    for (let kept = 0; kept < lines.length; kept += 1) {
      const cut = Readable.from([lines.slice(0, kept).join('\n')]);
      await expect(importer().import(tenantId, cut, {})).rejects.toMatchObject({ code: 'bundle_invalid' });
    }
    const gzipped = gzipSync(lines.join('\n'));
    const half = Readable.from([gzipped.subarray(0, gzipped.length / 2)]);
    await expect(importer().import(tenantId, half, {})).rejects.toMatchObject({ code: 'bundle_invalid' });
    expect((await tenant().bots.list({ limit: 10, order: 'asc' })).items.map(({ id }) => id)).toEqual([bot.id]);
    expect(await unfinished.list(clock.now())).toEqual([]);
  });

  it.each([
    ['a chunk beyond its document', (text: string) => text.replace(/"end":\d+/, '"end":999999')],
    ['a file that was changed', (text: string) => text.replace(/"data":"[^"]*"/, '"data":"AAAA"')],
    ['a count that is wrong', (text: string) => text.replace('"sources":1', '"sources":2')],
    ['an unknown field value', (text: string) => text.replace('"status":"ready"', '"status":"odd"')],
    ['no JSON', () => 'hello'],
  ])('refuses %s', async (_, damage) => {
    const damaged = Readable.from([damage(await exported())]);
    await expect(importer().import(tenantId, damaged, {})).rejects.toMatchObject({ code: 'bundle_invalid' });
    expect((await tenant().bots.list({ limit: 10, order: 'asc' })).items).toHaveLength(1);
  });

  it('refuses a newer version, and a slug that is taken', async () => {
    const newer = (await exported()).replace('"version":1', '"version":99');
    await expect(importer().import(tenantId, Readable.from([newer]), {})).rejects.toMatchObject({
      code: 'bundle_version_unsupported',
    });
    const again = Readable.from([await exported()]);
    await expect(importer().import(tenantId, again, { slug: 'helper' })).rejects.toMatchObject({ code: 'slug_taken' });
    expect(await unfinished.list(clock.now())).toEqual([]);
  });

  it('gives no claim to a file of another tenant that the bundle only names', async () => {
    const { bot: made } = await importer().import(tenantId, Readable.from([await exported(false)]), {});
    const [source] = (await tenant().sources.list(made.id, { limit: 1, order: 'asc' })).items;
    const [input] = source?.inputs ?? [];
    await expect(blobs.read(input?.blobHash ?? '')).rejects.toMatchObject({ code: 'internal_error' });
    bot = made;
    const again = await exported();
    expect(again).not.toContain('"record":"bytes"');
    const { counts } = await importer().import(tenantId, Readable.from([again]), {});
    expect(counts).toMatchObject({ sources: 1, chunks: 2 });
  });

  it('refuses a document that is larger than memory is for', async () => {
    const small = importer(SPACE, { maxDocumentSize: 250 });
    await expect(small.import(tenantId, Readable.from([await exported()]), {})).rejects.toMatchObject({
      code: 'bundle_invalid',
    });
    expect((await tenant().bots.list({ limit: 10, order: 'asc' })).items).toHaveLength(1);
  });

  it('carries a file once that several sources are made from', async () => {
    const [source] = (await tenant().sources.list(bot.id, { limit: 1, order: 'asc' })).items;
    await tenant().sources.create({ ...(source as Source), id: createId('src'), externalKey: 'copy.txt' });
    expect((await exported()).match(/"record":"file"/g)).toHaveLength(1);
  });

  it.each([
    ['a schedule of every second', 'sync_interval_ms', 1_000],
    ['more pages than a crawl may have', 'max_pages', 1_000_000],
  ])('refuses %s', async (_, field, value) => {
    const web = { include: [], exclude: [], max_pages: 5, sync_interval_ms: null, last_synced_at: null };
    const damaged = (await exported()).replace('"web":null', `"web":${JSON.stringify({ ...web, [field]: value })}`);
    await expect(importer().import(tenantId, Readable.from([damaged]), {})).rejects.toMatchObject({
      code: 'bundle_invalid',
    });
  });

  it('trains what was still waiting when it was exported, if its files came along', async () => {
    const [source] = (await tenant().sources.list(bot.id, { limit: 1, order: 'asc' })).items;
    await tenant().documents.delete(await tenant().documents.idsOf(source?.id ?? '', ['searchable']));
    await tenant().sources.update(source?.id ?? '', { status: 'queued', updatedAt: 2 });
    const statusAfter = async (files: boolean) => {
      const { bot: made } = await importer().import(tenantId, Readable.from([await exported(files)]), {});
      return (await tenant().sources.list(made.id, { limit: 1, order: 'asc' })).items[0];
    };
    expect(await statusAfter(true)).toMatchObject({ status: 'queued', jobId: announced[0] });
    expect(await statusAfter(false)).toMatchObject({ status: 'failed', lastError: { code: 'empty_content' } });
  });
});
