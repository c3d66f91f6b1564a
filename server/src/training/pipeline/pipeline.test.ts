import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createExactVectorStore } from '../../adapters/fakes/index.ts';
import { createFileBlobStore } from '../../adapters/file-system/index.ts';
import { openSqlite } from '../../adapters/sqlite/index.ts';
import { createGuardedWebClient } from '../../adapters/web-client/index.ts';
import type { EmbeddingGenerator } from '../../embeddings/index.ts';
import type { JobHandler, StageContext, StageResult } from '../../jobs/index.ts';
import { AppError, createIdMaker, createManualClock, silentLogger, toAppError } from '../../kernel/index.ts';
import { type BlobStore, type Bot, indexKey, type Job, type Source, type Store } from '../../store/index.ts';
import { type LexicalIndex, queryTerms, type VectorStore } from '../../vector-store/index.ts';
import { createChunkers } from '../chunking/strategies.ts';
import { createBotIndexes } from '../generations/bot-indexes.ts';
import { createInputParser, cutText } from '../loaders/parse-input.ts';
import type { DocumentParser, SourceContent, Trainer, UploadedFile } from '../ports.ts';
import { createWebParts } from '../web/web-parts.ts';
import { createTrainer } from './trainer.ts';
import { createTrainingHandler } from './training-handler.ts';

/** Letters counted into a vector: equal texts get equal vectors, and every call is remembered. */
function createLetterEmbeddings(): EmbeddingGenerator & { readonly texts: string[]; failWith: AppError | null } {
  const profile = {
    id: 'fake/letters',
    dimensions: 27,
    version: '1',
    maxTextsPerCall: 8,
    maxConcurrentCalls: 1,
    fusionWeight: 0.4,
    window: { words: 20, step: 15 },
    local: true,
  };
  const texts: string[] = [];
  return {
    profile,
    generation: 'fake/letters@1:27',
    texts,
    failWith: null,
    async embed(batch) {
      if (this.failWith !== null) throw this.failWith;
      texts.push(...batch);
      return { vectors: batch.map(vectorOf), inputTokens: batch.length };
    },
  };
}

function vectorOf(text: string): Float32Array {
  const vector = new Float32Array(27).fill(0.01);
  for (const letter of text.toLowerCase()) {
    const position = letter.charCodeAt(0) - 97;
    if (position >= 0 && position < 26) vector[position] = (vector[position] ?? 0) + 1;
  }
  const length = Math.hypot(...vector);
  return vector.map((value) => value / length);
}

const wordCounter = { count: (text: string) => text.match(/\S+|\n+/g)?.length ?? 0 };

/** The parser without its thread. */
function createDirectParser(): DocumentParser & { onParse: (name: string) => Promise<void> } {
  const chunkerOf = createChunkers({ tokens: wordCounter, targetTokens: 40, maxTokens: 50 });
  const parse = createInputParser({ chunkerOf, maxCharacters: 100_000 });
  return {
    onParse: async () => {},
    async parse(input) {
      await this.onParse(input.name);
      return parse(input);
    },
    cut: (text) => cutText(text, { chunkerOf }),
    start: async () => {},
    stop: async () => {},
  };
}

const prose = (topic: string, sentences = 12): string =>
  Array.from({ length: sentences }, (_, n) => `The ${topic} rule ${n} says what people should do about ${topic}.`).join(
    ' ',
  );

const files = (...entries: readonly (readonly [string, string | Buffer])[]): SourceContent => ({
  type: 'file',
  files: (async function* (): AsyncGenerator<UploadedFile> {
    for (const [name, content] of entries)
      yield { name, mediaType: '', content: Readable.from([Buffer.from(content)]) };
  })(),
});
const text = (content: string, title = 'Rules'): SourceContent => ({ type: 'text', title, content });

const OLD_VERSION = text(prose('vacation'));
const NEW_VERSION = text(prose('badger'));

describe('training', () => {
  const clock = createManualClock();
  const createId = createIdMaker(clock.now);
  const tenantId = createId('tnt');
  const web = createWebParts({ client: createGuardedWebClient({ userAgent: 'test' }), clock, maxPageBytes: 1_000_000 });
  let folder: string;
  let store: Store;
  let lexical: LexicalIndex;
  let blobs: BlobStore;
  let vectors: VectorStore;
  let embeddings: ReturnType<typeof createLetterEmbeddings>;
  let parser: ReturnType<typeof createDirectParser>;
  let trainer: Trainer;
  let handler: JobHandler;
  let announced: string[];
  let othersWait = false;
  let bot: Bot;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'training-'));
    ({ store, lexicalIndex: lexical } = openSqlite({ file: ':memory:', clock, logger: silentLogger }));
    await store.start();
    blobs = createFileBlobStore({ folder });
    vectors = createExactVectorStore();
    embeddings = createLetterEmbeddings();
    parser = createDirectParser();
    announced = [];
    othersWait = false;
    const announce = async (jobId: string): Promise<void> => void announced.push(jobId);
    const indexes = createBotIndexes({
      store,
      embedders: { own: embeddings, find: async () => embeddings },
      clock,
      createId,
    });
    trainer = createTrainer({ store, blobs, web: web.client, announce, vectors, indexes, clock, createId });
    const logger = silentLogger;
    const rechunk = parser.cut;
    handler = createTrainingHandler({ store, blobs, web, parser, indexes, rechunk, vectors, clock, logger });
    await store.tenants.create({ id: tenantId, name: 'T', createdAt: 1, updatedAt: 1 });
    bot = {
      id: createId('bot'),
      tenantId,
      name: 'B',
      slug: 'b',
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

  const tenant = () => store.forTenant(tenantId);
  const namespace = () => ({
    tenantId,
    botId: bot.id,
    generation: indexKey({ space: embeddings.generation, chunkSet: 'auto@2' }),
  });

  async function claim(): Promise<Job | null> {
    await clock.advance(1);
    return store.system.jobs.claim({
      owner: 'me',
      kinds: ['train'],
      now: clock.now(),
      leaseMs: 60_000,
      maxPriority: null,
    });
  }

  function runStage(job: Job): Promise<StageResult> {
    const context: StageContext = {
      job,
      lease: { jobId: job.id, fencingToken: job.fencingToken },
      signal: new AbortController().signal,
      progress: () => {},
      sliceOver: () => othersWait,
    };
    const stage = handler.stages[job.stage];
    if (stage === undefined) throw new Error(`no stage ${job.stage}`);
    return stage(context);
  }

  /** Runs one stage of the next job, as the runner does. Returns what ran, or null when nothing is due. */
  async function step(): Promise<string | null> {
    const job = await claim();
    if (job === null) return null;
    const lease = { jobId: job.id, fencingToken: job.fencingToken };
    try {
      await store.system.jobs.release(lease, await runStage(job), clock.now());
    } catch (error) {
      const { code, message } = toAppError(error);
      const ended = await store.system.jobs.release(lease, { type: 'failed', error: { code, message } }, clock.now());
      if (ended) await handler.onFailed(job, { code, message });
    }
    return job.stage;
  }
  async function runAll(): Promise<void> {
    while ((await step()) !== null);
  }

  async function current(source: Source): Promise<Source> {
    const found = await tenant().sources.get(bot.id, source.id);
    if (found === null) throw new Error('the source is gone');
    return found;
  }
  /** Texts of searchable chunks that hold the word. */
  async function foundByWord(term: string): Promise<readonly string[]> {
    const hits = await lexical.search(
      { tenantId, botId: bot.id, chunkSet: 'auto@2' },
      { terms: queryTerms(term), limit: 100 },
    );
    const chunks = await tenant().chunks.getSearchable(
      bot.id,
      hits.map((hit) => hit.chunkId),
    );
    return chunks.map((chunk) => chunk.text).filter((found) => found.includes(term));
  }
  async function foundByVector(query: string): Promise<readonly string[]> {
    const hits = await vectors.search(namespace(), { vector: vectorOf(query), limit: 100 });
    const chunks = await tenant().chunks.getSearchable(
      bot.id,
      hits.map((hit) => hit.chunkId),
    );
    expect(chunks.length, 'index entries of unseen or deleted chunks').toBe(hits.length);
    return chunks.map((chunk) => chunk.text);
  }
  const documents = async (source: Source) =>
    (await tenant().documents.list(source.id, { limit: 100, order: 'asc' })).items;

  it('is found by words after loading and ready after embedding', async () => {
    const source = await trainer.add(bot, OLD_VERSION, {});
    expect(source).toMatchObject({ status: 'queued', stage: 'loading', title: 'Rules', type: 'text' });
    expect(announced).toEqual([source.jobId]);
    expect(await step()).toBe('loading');
    expect(await current(source)).toMatchObject({ status: 'processing', stage: 'embedding', counts: { documents: 1 } });
    expect((await foundByWord('vacation')).length).toBeGreaterThan(2);
    expect(await foundByVector('vacation')).toEqual([]);
    expect(await step()).toBe('embedding');
    const ready = await current(source);
    expect(ready).toMatchObject({ status: 'ready', stage: null, lastError: null });
    expect(ready.progress).toEqual({ done: ready.counts.chunks, total: ready.counts.chunks });
    expect((await foundByVector('vacation')).length).toBe(ready.counts.chunks);
    expect(await step()).toBeNull();
  });

  it('loads one source before it embeds another', async () => {
    await trainer.add(bot, OLD_VERSION, {});
    await step();
    await trainer.add(bot, NEW_VERSION, {});
    expect([await step(), await step(), await step(), await step()]).toEqual([
      'loading',
      'embedding',
      'embedding',
      null,
    ]);
  });

  it('keeps exact offsets into the stored text', async () => {
    const source = await trainer.add(bot, files(['guide.md', `# Guide\r\n\r\n${prose('caf\u0065\u0301')}`]), {});
    await runAll();
    const [head] = await documents(source);
    const document = await tenant().documents.get(head?.id ?? '');
    const { items } = await tenant().chunks.list(document?.id ?? '', { limit: 100, order: 'asc' });
    expect(items.length).toBeGreaterThan(1);
    for (const chunk of items) expect(document?.text.slice(chunk.start, chunk.end)).toBe(chunk.text);
  });

  it('trains what it can of several files, and says what it could not', async () => {
    const source = await trainer.add(
      bot,
      files(['a.md', prose('alpha')], ['b.md', '---\ntitle: x\n---\n'], ['c.txt', prose('gamma')]),
      {},
    );
    await runAll();
    expect(await current(source)).toMatchObject({
      status: 'partial',
      counts: { documents: 2 },
      lastError: { code: 'empty_content', message: expect.stringContaining('b.md') },
    });
    expect((await documents(source)).map(({ state, inputName }) => [inputName, state])).toEqual([
      ['a.md', 'searchable'],
      ['b.md', 'refused'],
      ['c.txt', 'searchable'],
    ]);
  });

  it('fails with the first fault when no file can be used, and leaves nothing to find', async () => {
    const large = `<html><body>${'<i></i>'.repeat(20_000)}</body></html>`;
    const source = await trainer.add(bot, files(['a.html', large], ['b.html', large]), {});
    await runAll();
    expect(await current(source)).toMatchObject({
      status: 'failed',
      stage: null,
      lastError: { code: 'content_too_large', message: expect.stringContaining('a.html') },
    });
    expect((await documents(source)).every(({ state }) => state === 'refused')).toBe(true);
  });

  it('replaces a source at once, and reuses the vectors of what stayed', async () => {
    const both = (topic: string) => files(['same.md', prose('vacation')], ['other.md', prose(topic)]);
    const { source, change } = await trainer.put(bot, 'k', { content: both('zebra') });
    expect(change).toBe('created');
    await runAll();
    const before = await current(source);
    expect(await trainer.put(bot, 'k', { content: both('badger') })).toMatchObject({ change: 'replaced' });
    embeddings.texts.length = 0;
    expect(await step()).toBe('loading');
    expect([(await foundByWord('zebra')).length > 0, await foundByWord('badger')]).toEqual([true, []]);
    expect(await current(source)).toMatchObject({ status: 'processing', counts: { documents: 2 } });
    expect(await step()).toBe('embedding');
    expect([await foundByWord('zebra'), (await foundByWord('badger')).length > 0]).toEqual([[], true]);
    const after = await current(source);
    expect(after).toMatchObject({ id: source.id, status: 'ready' });
    expect(after.counts.reused).toBeGreaterThan(0);
    expect(after.counts.reused).toBeLessThan(after.counts.chunks);
    expect(embeddings.texts.some((embedded) => embedded.includes('vacation'))).toBe(false);
    expect((await foundByVector('badger')).length).toBe(after.counts.chunks);
    expect(after.counts.chunks).toBe(before.counts.chunks);
  });

  it('does no work for unchanged content, and none but the row for changed metadata', async () => {
    const { source } = await trainer.put(bot, 'k', { content: OLD_VERSION, metadata: { a: 1 } });
    await runAll();
    expect(await trainer.put(bot, 'k', { content: OLD_VERSION, metadata: { a: 1 } })).toMatchObject({
      change: 'unchanged',
    });
    const changed = await trainer.put(bot, 'k', { content: OLD_VERSION, metadata: { a: 2 } });
    expect(changed).toMatchObject({
      change: 'replaced',
      source: { status: 'ready', metadata: { a: 2 }, jobId: source.jobId },
    });
    expect(await step()).toBeNull();
    expect(announced).toHaveLength(1);
  });

  it('supersedes a running job, whose late writes change nothing', async () => {
    const { source } = await trainer.put(bot, 'k', { content: OLD_VERSION });
    const old = await claim();
    if (old === null) throw new Error('nothing to run');
    parser.onParse = async () => {
      parser.onParse = async () => {};
      await trainer.put(bot, 'k', { content: NEW_VERSION });
    };
    await expect(runStage(old)).rejects.toMatchObject({ code: 'job_cancelled' });
    await handler.onFailed(old, { code: 'job_cancelled', message: 'cancelled' });
    expect((await tenant().jobs.get(old.id))?.cancelRequested).toBe(true);
    await store.system.jobs.release(
      { jobId: old.id, fencingToken: old.fencingToken },
      { type: 'cancelled' },
      clock.now(),
    );
    await runAll();
    expect(await current(source)).toMatchObject({ status: 'ready' });
    expect(await foundByWord('vacation')).toEqual([]);
    expect((await foundByWord('badger')).length).toBeGreaterThan(0);
  });

  it.each(['loading', 'embedding'])('goes on after a crash at the end of %s', async (crashed) => {
    const { source } = await trainer.put(bot, 'k', { content: OLD_VERSION });
    await runAll();
    await trainer.put(bot, 'k', { content: NEW_VERSION });
    if (crashed === 'embedding') await step();
    const job = await claim();
    if (job === null) throw new Error('nothing to run');
    await runStage(job);
    await clock.advance(120_000);
    await runAll();
    expect(await current(source)).toMatchObject({ status: 'ready', counts: { documents: 1 } });
    expect(await foundByWord('vacation')).toEqual([]);
    expect((await foundByVector('badger')).length).toBe((await foundByWord('badger')).length);
  });

  it('goes on in mid-loading where it stopped', async () => {
    const many = Array.from({ length: 20 }, (_, n) => [`f${n}.md`, prose(`topic${n}`, 3)] as const);
    const source = await trainer.add(bot, files(...many), {});
    const parsed: string[] = [];
    parser.onParse = async (name) => {
      parsed.push(name);
      if (parsed.length === 19) throw new Error('the process dies');
    };
    const job = await claim();
    if (job === null) throw new Error('nothing to run');
    await expect(runStage(job)).rejects.toThrow('dies');
    await clock.advance(120_000);
    parsed.length = 0;
    await runAll();
    // The last one that is stored may hold more.
    expect(parsed[0]).toBe('f15.md');
    expect(await current(source)).toMatchObject({ status: 'ready', counts: { documents: 20 } });
    expect((await documents(source)).map((document) => document.inputName)).toEqual(many.map(([name]) => name));
  });

  describe('of an input that holds several texts', () => {
    const parseText = async (name: string, content: string) => {
      const path = join(folder, name.replaceAll('/', '_'));
      await writeFile(path, content);
      const chunkerOf = createChunkers({ tokens: wordCounter, targetTokens: 40, maxTokens: 50 });
      const parse = createInputParser({ chunkerOf, maxCharacters: 1_000 });
      return parse({ path, name, mediaType: '', fallbackTitle: name, from: null });
    };
    /** Three texts a part, the second of each refused. */
    const readInParts = (parts: number, onPart: (from: string | null) => void = () => {}): void => {
      parser.parse = async ({ name, from }) => {
        onPart(from);
        const part = Number(from ?? '0');
        const topics = [0, 2].map((n) => `topic${part}x${n}`);
        const texts = await Promise.all(topics.map((topic) => parseText(`${name}/${topic}.md`, prose(topic, 4))));
        const refusal = { name: `${name}/${part}.bin`, code: 'binary_content', message: 'Not text.' } as const;
        const next = part + 1 < parts ? String(part + 1) : null;
        return {
          documents: texts.flatMap(({ documents: made }) => made),
          refusals: [refusal],
          next,
          share: (part + 1) / parts,
        };
      };
    };
    const NAMES = (parts: number) =>
      Array.from({ length: parts }, (_, n) => [
        `a.zip/topic${n}x0.md`,
        `a.zip/topic${n}x2.md`,
        `a.zip/${n}.bin`,
      ]).flat();

    it('makes a document of each, and refuses some alone', async () => {
      readInParts(4);
      const source = await trainer.add(bot, files(['a.zip', 'x'], ['b.md', prose('beta')]), {});
      await runAll();
      expect(await current(source)).toMatchObject({
        status: 'partial',
        counts: { documents: 16 },
        lastError: { code: 'binary_content', message: expect.stringContaining('8 of 24 files') },
      });
      const heads = await documents(source);
      expect(heads.slice(0, 12).map(({ inputName }) => inputName)).toEqual(NAMES(4));
      expect((await foundByWord('topic3x2')).length).toBeGreaterThan(0);
    });

    it('goes on after a crash in mid-input without losing or doubling any', async () => {
      const source = await trainer.add(bot, files(['a.zip', 'x']), {});
      readInParts(20, (from) => {
        if (from === '13') throw new Error('the process dies');
      });
      const job = await claim();
      if (job === null) throw new Error('nothing to run');
      await expect(runStage(job)).rejects.toThrow('dies');
      const before = await documents(source);
      expect(before.length).toBeGreaterThan(0);
      readInParts(20);
      await clock.advance(120_000);
      await runAll();
      const heads = await documents(source);
      expect(heads.map(({ inputName }) => inputName).toSorted()).toEqual(NAMES(20).toSorted());
      const kept = before.filter(({ state }) => state !== 'refused').map(({ id }) => id);
      expect(heads.map(({ id }) => id)).toEqual(expect.arrayContaining(kept));
      expect(await current(source)).toMatchObject({ status: 'partial', counts: { documents: 40 } });
    });

    it('keeps what it has of an input that breaks off', async () => {
      readInParts(3, (from) => {
        if (from === '2') throw new AppError('parse_timeout', 'It takes too long.');
      });
      const source = await trainer.add(bot, files(['a.zip', 'x']), {});
      await runAll();
      expect(await current(source)).toMatchObject({ status: 'partial', counts: { documents: 4 } });
      expect((await documents(source)).at(-1)).toMatchObject({
        inputName: 'a.zip',
        lastError: { code: 'parse_timeout' },
      });
    });

    it('lets others in between two parts, and ends with the same documents', async () => {
      readInParts(6);
      othersWait = true;
      const source = await trainer.add(bot, files(['a.zip', 'x'], ['b.zip', 'y']), {});
      const stages: (string | null)[] = [];
      const parsed: string[] = [];
      const { parse } = parser;
      parser.parse = (input) => {
        parsed.push(`${input.name} ${input.from}`);
        return parse(input);
      };
      for (let stage = await step(); stage !== null; stage = await step()) stages.push(stage);
      expect(stages.filter((stage) => stage === 'loading').length).toBeGreaterThan(6);
      expect(new Set(parsed).size).toBe(parsed.length);
      const made = (await documents(source)).map(({ inputName }) => inputName);
      expect(made.slice(0, 18)).toEqual(NAMES(6));
      expect([made.length, new Set(made).size]).toEqual([36, 36]);
      expect(await current(source)).toMatchObject({ status: 'partial', counts: { documents: 24 } });
    });

    it('does not read the same part for ever', async () => {
      readInParts(1);
      const { parse } = parser;
      parser.parse = async (input) => ({ ...(await parse(input)), next: 'same' });
      const source = await trainer.add(bot, files(['a.zip', 'x']), {});
      await runAll();
      expect(await current(source)).toMatchObject({ status: 'failed', lastError: { code: 'internal_error' } });
    });
  });

  it('leaves no half-trained source when embedding fails, and trains it when tried again', async () => {
    const source = await trainer.add(bot, OLD_VERSION, {});
    embeddings.failWith = new AppError('embedding_failed', 'The provider refuses the key.');
    await runAll();
    expect(await current(source)).toMatchObject({ status: 'failed', lastError: { code: 'embedding_failed' } });
    expect(await foundByWord('vacation')).toEqual([]);
    const [kept] = await documents(source);
    expect(kept).toMatchObject({ state: 'building' });
    embeddings.failWith = null;
    await tenant().jobs.retry(source.jobId ?? '', { now: clock.now(), deadlineAt: clock.now() + 60_000 });
    parser.onParse = () => Promise.reject(new Error('parsed again'));
    expect(await step()).toBe('embedding');
    expect((await documents(source)).map(({ id }) => id)).toEqual([kept?.id]);
    expect(await current(source)).toMatchObject({ status: 'ready', lastError: null });
    expect((await foundByWord('vacation')).length).toBeGreaterThan(0);
  });

  it('leaves alone a failed job that was retried before it was settled', async () => {
    const source = await trainer.add(bot, OLD_VERSION, {});
    await step();
    const failed = await claim();
    if (failed === null) throw new Error('nothing to run');
    const error = { code: 'embedding_failed', message: 'no' };
    const lease = { jobId: failed.id, fencingToken: failed.fencingToken };
    await store.system.jobs.release(lease, { type: 'failed', error }, clock.now());
    await tenant().jobs.retry(failed.id, { now: clock.now(), deadlineAt: clock.now() + 60_000 });
    await handler.onFailed(failed, error);
    expect(await current(source)).toMatchObject({ status: 'processing', lastError: null });
    await runAll();
    expect(await current(source)).toMatchObject({ status: 'ready', counts: { documents: 1 } });
    expect((await foundByVector('vacation')).length).toBe((await foundByWord('vacation')).length);
  });

  it('keeps the old version answering when its replacement fails', async () => {
    const { source } = await trainer.put(bot, 'k', { content: OLD_VERSION });
    await runAll();
    await trainer.put(bot, 'k', { content: NEW_VERSION });
    embeddings.failWith = new AppError('embedding_failed', 'no');
    await runAll();
    expect(await current(source)).toMatchObject({ status: 'failed', counts: { documents: 1 } });
    expect((await foundByWord('vacation')).length).toBeGreaterThan(0);
    expect(await foundByWord('badger')).toEqual([]);
    embeddings.failWith = null;
    expect(await trainer.put(bot, 'k', { content: NEW_VERSION })).toMatchObject({ change: 'replaced' });
    await runAll();
    expect(await foundByWord('vacation')).toEqual([]);
    expect((await foundByVector('x')).length).toBe((await foundByWord('badger')).length);
  });

  it('stops quietly when its source is deleted in mid-work', async () => {
    const source = await trainer.add(bot, OLD_VERSION, {});
    await step();
    const job = await claim();
    if (job === null) throw new Error('nothing to run');
    const { upsert } = vectors;
    vectors.upsert = async (...given) => {
      expect(await trainer.remove(bot, source.id)).toMatchObject({ sources: 1, documents: 1, files: 1 });
      await upsert(...given);
    };
    await expect(runStage(job)).rejects.toBeInstanceOf(AppError);
    await handler.onFailed(job, { code: 'job_cancelled', message: 'x' });
    expect(await foundByWord('vacation')).toEqual([]);
    expect(await foundByVector('vacation')).toEqual([]);
    expect(await trainer.remove(bot, source.id)).toBeNull();
    expect(await step()).toBeNull();
  });

  it('trains again from the stored inputs', async () => {
    const source = await trainer.add(bot, OLD_VERSION, {});
    await runAll();
    const synced = await trainer.sync(bot, source);
    expect(synced.jobId).not.toBe(source.jobId);
    await runAll();
    const after = await current(source);
    expect(after).toMatchObject({ status: 'ready' });
    expect(after.counts.reused).toBe(after.counts.chunks);
    await trainer.remove(bot, source.id);
    await expect(trainer.sync(bot, source)).rejects.toMatchObject({ code: 'source_not_found' });
  });

  it('deletes a bot with its content', async () => {
    await trainer.add(bot, OLD_VERSION, {});
    await runAll();
    expect(await trainer.removeBot(bot)).toMatchObject({ sources: 1, documents: 1 });
    expect(await foundByVector('vacation')).toEqual([]);
    expect(await trainer.removeBot(bot)).toBeNull();
  });

  describe('what is refused at once', () => {
    it.each<[string, SourceContent, object]>([
      ['empty text', text(' \n\u200b '), { code: 'empty_content' }],
      ['no files', files(), { code: 'invalid_request', param: 'file' }],
      ['an empty file', files(['a.md', '']), { code: 'empty_content' }],
      ['front matter alone', files(['a.md', '---\ntitle: x\n---\n']), { code: 'empty_content' }],
      ['a drawing', files(['a.svg', '<svg/>']), { code: 'unsupported_file_type' }],
      ['binary text', files(['a.txt', Buffer.from([0, 1, 2])]), { code: 'binary_content' }],
      ['no questions', { type: 'qa', items: [] }, { code: 'empty_content', param: 'items' }],
      [
        'a blank answer',
        { type: 'qa', items: [{ question: 'Why?', answer: ' ' }] },
        { code: 'empty_content', param: 'items[0].answer' },
      ],
    ])('%s', async (_, content, error) => {
      await expect(trainer.add(bot, content, {})).rejects.toMatchObject(error);
      expect((await tenant().sources.list(bot.id, { limit: 10, order: 'asc' })).items).toEqual([]);
      expect(announced).toEqual([]);
    });

    it('passes on the error of a broken upload', async () => {
      const broken = new AppError('request_aborted', 'left');
      const content: SourceContent = {
        type: 'file',
        // biome-ignore lint/correctness/useYield: it breaks before the first file
        files: (async function* (): AsyncGenerator<UploadedFile> {
          throw broken;
        })(),
      };
      await expect(trainer.add(bot, content, {})).rejects.toBe(broken);
    });

    it('reads the fields that follow the files of a form', async () => {
      const options: { externalKey?: string } = {};
      const content: SourceContent = {
        type: 'file',
        files: (async function* (): AsyncGenerator<UploadedFile> {
          yield { name: 'a.md', mediaType: '', content: Readable.from([prose('late')]) };
          options.externalKey = 'late-key';
        })(),
      };
      expect(await trainer.add(bot, content, options)).toMatchObject({ externalKey: 'late-key', title: 'a.md' });
    });
  });
});
