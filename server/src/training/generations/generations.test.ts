import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createEmbeddedVectorStore } from '../../adapters/embedded-vectors/index.ts';
import { createFakeEmbedder, type FakeEmbedder } from '../../adapters/fakes/index.ts';
import { createFileBlobStore } from '../../adapters/file-system/index.ts';
import { openSqlite } from '../../adapters/sqlite/index.ts';
import { createGuardedWebClient } from '../../adapters/web-client/index.ts';
import { createSearcher, type Searcher } from '../../chat/index.ts';
import { createEmbeddingGenerator, type EmbeddingGenerator, type EmbeddingSpaces } from '../../embeddings/index.ts';
import { createJobEvents, createJobRunner, createMemoryTransport } from '../../jobs/index.ts';
import { AppError, createIdMaker, type Lifecycle, silentLogger, silentMeter, systemClock } from '../../kernel/index.ts';
import type { Bot, Generation, Store } from '../../store/index.ts';
import type { VectorStore } from '../../vector-store/index.ts';
import { chunkingSignature, createChunkers } from '../chunking/strategies.ts';
import { createInputParser, cutText } from '../loaders/parse-input.ts';
import { createTrainer } from '../pipeline/trainer.ts';
import { createTrainingHandler } from '../pipeline/training-handler.ts';
import type { DocumentParser, Trainer } from '../ports.ts';
import { createWebParts } from '../web/web-parts.ts';
import { createBotIndexes, keyOf } from './bot-indexes.ts';
import { createGenerationHandler } from './generation-handler.ts';
import { createGenerationKeeper } from './generation-keeper.ts';
import { createGenerations } from './generations.ts';
import type { BotIndexes, Generations, SearchIndex } from './ports.ts';

const TENANT = 'tnt_1';
const wordCounter = { count: (text: string) => text.match(/\S+|\n+/g)?.length ?? 0 };
const clock = systemClock;
const logger = silentLogger;
const meter = silentMeter;

/** Fakes by name; each as wide as it says, and any other width is refused. */
class FakeEmbedders implements EmbeddingSpaces {
  readonly embedders = new Map<string, FakeEmbedder>();
  readonly #generators = new Map<string, EmbeddingGenerator>();
  readonly missing = new Set<string>();
  ownId: string;

  constructor(ownId: string) {
    this.ownId = ownId;
  }

  add(id: string, dimensions: number, hold?: (texts: readonly string[]) => Promise<void>): void {
    const embedder = createFakeEmbedder({ dimensions, profile: { id }, ...(hold && { hold }) });
    this.embedders.set(id, embedder);
    this.#generators.set(id, createEmbeddingGenerator({ embedder, clock, logger, meter, random: () => 0.5 }));
  }

  get own(): EmbeddingGenerator {
    return this.#of(this.ownId);
  }

  async find({ id, dimensions }: { readonly id: string; readonly dimensions: number }) {
    const found = this.missing.has(id) ? undefined : this.#generators.get(id);
    return found?.profile.dimensions === dimensions ? found : null;
  }

  async open(model: string, { dimensions }: { readonly dimensions: number | null }) {
    const generator = this.#of(model);
    if (dimensions === null || dimensions === generator.profile.dimensions) return generator;
    throw new AppError('embedding_dimension_mismatch', 'Another width.');
  }

  #of(id: string): EmbeddingGenerator {
    const generator = this.#generators.get(id);
    if (generator === undefined) throw new AppError('model_not_found', `No ${id}.`);
    return generator;
  }
}

/** Everything of a server between the routes and the database, over real engines. */
class House {
  readonly store: Store;
  readonly vectors: VectorStore;
  readonly indexes: BotIndexes;
  readonly generations: Generations;
  readonly trainer: Trainer;
  readonly searcher: Searcher;
  readonly keeper: Lifecycle;
  readonly #runner: Lifecycle;
  readonly #transport = createMemoryTransport();

  constructor(folder: string, embedders: FakeEmbedders, search: { verdict?: SearchIndex } = {}) {
    const { store, lexicalIndex } = openSqlite({ file: join(folder, 'data.db'), clock, logger });
    this.store = store;
    const blobs = createFileBlobStore({ folder });
    const createId = createIdMaker(clock.now);
    const vectors = createEmbeddedVectorStore({
      loadNamespace: ({ botId, generation }, signal) => store.system.loadVectors(botId, generation, signal),
      memoryCapBytes: 64 * 1024 ** 2,
      logger,
    });
    this.vectors = vectors;
    const client = createGuardedWebClient({ userAgent: 'test' });
    const web = createWebParts({ client, clock, maxPageBytes: 1_000_000 });
    const announce = (id: string) => this.#transport.announce(id);
    const indexes = createBotIndexes({ store, embedders, clock, createId });
    this.indexes = indexes;
    const parts = { store, indexes, embedders, vectors, announce, clock, createId, logger, meter };
    this.generations = createGenerations(parts);
    this.trainer = createTrainer({ store, blobs, web: web.client, announce, vectors, indexes, clock, createId });
    const searching = { store, vectors, lexical: lexicalIndex, clock, logger, meter };
    const spacesOf = (index: Awaited<ReturnType<BotIndexes['of']>>) => [{ embeddings: index.embeddings, weight: 0.4 }];
    this.searcher = createSearcher({
      ...searching,
      spaces: { of: async (bot) => spacesOf(await indexes.answering({ tenantId: bot.tenantId, botId: bot.id })) },
    });
    const searchIndex: SearchIndex = async (bot, index, { text, limit, signal }) => {
      const spaces = { of: async () => spacesOf(index) };
      const found = await createSearcher({ ...searching, spaces }).search(
        bot,
        { query: text, maxNumResults: limit },
        signal,
      );
      return found.hits.map(({ chunk }) => chunk);
    };
    const parser = directParser();
    const handlerParts = { rechunk: parser.cut };
    const training = createTrainingHandler({
      ...handlerParts,
      store,
      blobs,
      web,
      parser,
      indexes,
      vectors,
      clock,
      logger,
      onTrained: (bot) => void this.generations.catchUp(bot),
    });
    const building = createGenerationHandler({ ...parts, ...handlerParts, search: search.verdict ?? searchIndex });
    const events = createJobEvents({ store, clock });
    this.#runner = createJobRunner({
      store,
      transport: this.#transport,
      handlers: [training, building],
      events,
      clock,
      logger,
      meter,
      owner: 'test',
      concurrency: 4,
      reclaimOwners: 'all',
      stopGraceMs: 0,
    });
    this.keeper = createGenerationKeeper({ ...parts, generations: this.generations });
  }

  async start(): Promise<void> {
    await this.store.start();
    await this.vectors.start();
    await this.#transport.start();
    await this.#runner.start();
  }

  async stop(): Promise<void> {
    await this.keeper.stop();
    await this.#runner.stop();
    await this.#transport.stop();
    await this.vectors.stop();
    await this.store.stop();
  }

  async makeBot(): Promise<Bot> {
    if ((await this.store.tenants.get(TENANT)) === null) {
      await this.store.tenants.create({ id: TENANT, name: 'T', createdAt: 1, updatedAt: 1 });
    }
    const bot: Omit<Bot, 'tenantId'> = {
      id: 'bot_1',
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
    await this.store.forTenant(TENANT).bots.create(bot);
    return { ...bot, tenantId: TENANT };
  }

  /** Trains one text a topic and waits until all are ready. */
  async train(bot: Bot, topics: readonly string[]): Promise<void> {
    for (const topic of topics) {
      const content = { type: 'text' as const, title: `About ${topic}`, content: prose(topic) };
      await this.trainer.put(bot, topic, { content });
    }
    await until(async () => {
      const { items } = await this.tenant.sources.list(bot.id, { limit: 100, order: 'asc' });
      expect(items.filter(({ status }) => status === 'failed')).toEqual([]);
      return items.every(({ status }) => status === 'ready');
    });
  }

  get tenant() {
    return this.store.forTenant(TENANT);
  }

  async list(bot: Bot): Promise<readonly Generation[]> {
    return (await this.tenant.generations.list(bot.id, { limit: 100, order: 'asc' })).items;
  }

  /** Waits until the generation is in the state. */
  reaches(generation: Generation, type: Generation['state']['type']): Promise<void> {
    return until(async () => (await this.tenant.generations.get(generation.botId, generation.id))?.state.type === type);
  }
}

function directParser(): DocumentParser {
  const chunkerOf = createChunkers({ tokens: wordCounter, targetTokens: 40, maxTokens: 50 });
  return {
    parse: createInputParser({ chunkerOf, maxCharacters: 100_000 }),
    cut: (text) => cutText(text, { chunkerOf }),
    start: async () => {},
    stop: async () => {},
  };
}

function prose(topic: string): string {
  return ['holidays', 'money', 'travel', 'safety']
    .map(
      (part) => `## ${topic} and ${part}\n\n${`The ${topic} rule on ${part} says what people should do. `.repeat(6)}`,
    )
    .join('\n\n');
}

/** Waits for work of other threads, which the test has no hand on; gives up with the test's own time limit. */
async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 5));
}

const SMALL_CHUNKS = { type: 'static', maxChunkSizeTokens: 20, chunkOverlapTokens: 0 } as const;
const FIRST_CHUNK_SET = chunkingSignature({ type: 'auto' });
const TOPICS = ['badgers', 'otters', 'herons', 'foxes'];

describe('index generations', { timeout: 30_000 }, () => {
  let folder: string;
  let embedders: FakeEmbedders;
  let house: House;
  let bot: Bot;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'generations-'));
    embedders = new FakeEmbedders('fake/small');
    embedders.add('fake/small', 16);
    embedders.add('fake/large', 48);
    house = new House(folder, embedders);
    await house.start();
    bot = await house.makeBot();
    await house.train(bot, TOPICS);
  });
  afterEach(async () => {
    await house.stop();
    await rm(folder, { recursive: true });
  });

  const best = async (query: string) => (await house.searcher.search(bot, { query, maxNumResults: 3 })).hits[0]?.chunk;

  async function change(request: Parameters<Generations['request']>[1]): Promise<Generation> {
    const generation = await house.generations.request(bot, request);
    await house.reaches(generation, request.policy === 'manual' ? 'ready' : 'active');
    return generation;
  }

  it('answers from the one before until the next one is complete, then from that alone', async () => {
    const [first] = await house.list(bot);
    expect(first).toMatchObject({ state: { type: 'active' }, embeddingModel: 'fake/small', origin: 'server' });
    const next = await change({ embeddingModel: 'fake/large' });
    const [old, active] = await house.list(bot);
    expect(old).toMatchObject({ id: first?.id, state: { type: 'retired' } });
    expect(active).toMatchObject({ id: next.id, dimensions: 48, origin: 'bot', state: { type: 'active' } });
    expect(active?.progress.done).toBe(active?.progress.total);
    expect(active?.comparison).toMatchObject({ basis: 'sampled', verdict: expect.stringMatching(/same|better/) });
    expect((await best('otters and money'))?.headingPath.join()).toContain('otters');
    expect(embedders.embedders.get('fake/large')?.calls.some(({ purpose }) => purpose === 'query')).toBe(true);
  });

  it('goes back at once, and on again', async () => {
    const next = await change({ embeddingModel: 'fake/large' });
    const calls = embedders.embedders.get('fake/small')?.calls.length;
    const back = await house.generations.rollBack(bot);
    expect(back).toMatchObject({ embeddingModel: 'fake/small', state: { type: 'active' } });
    expect(embedders.embedders.get('fake/small')?.calls.length).toBe(calls);
    expect(await house.generations.rollBack(bot)).toMatchObject({ id: next.id, state: { type: 'active' } });
  });

  it('keeps the one before complete, so that going back loses no content', async () => {
    await change({ embeddingModel: 'fake/large' });
    await house.train(bot, ['beavers']);
    const [old] = await house.list(bot);
    if (old === undefined) throw new Error('The generation before is gone.');
    await until(async () => (await house.tenant.chunks.withoutVectorsOfBot(bot.id, keyOf(old), 1)).length === 0);
    await house.generations.rollBack(bot);
    const { hits } = await house.searcher.search(bot, { query: 'beavers and money', maxNumResults: 3 });
    expect(hits[0]?.scores.dense).not.toBeNull();
    expect(hits[0]?.chunk.externalKey).toBe('beavers');
  });

  it('waits for a person when it is told to, or when the comparison is clearly worse', async () => {
    const manual = await change({ embeddingModel: 'fake/large', policy: 'manual' });
    expect(await house.tenant.generations.active(bot.id)).toMatchObject({ embeddingModel: 'fake/small' });
    expect(await house.generations.activate(bot, manual.id)).toMatchObject({ state: { type: 'active' } });
    await house.generations.rollBack(bot);
    expect(await house.tenant.generations.active(bot.id)).toMatchObject({
      embeddingModel: 'fake/small',
      origin: 'bot',
    });
  });

  it('compares on golden questions and stays when the new one is clearly worse', async () => {
    await house.stop();
    const blind: SearchIndex = async (of, { generation }, { text, limit, signal }) => {
      if (generation.embeddingModel === 'fake/large') return [];
      return (await house.searcher.search(of, { query: text, maxNumResults: limit }, signal)).hits.map(
        ({ chunk }) => chunk,
      );
    };
    house = new House(folder, embedders, { verdict: blind });
    await house.start();
    const question = { botId: bot.id, question: 'What about otters and money?', createdAt: 1 };
    await house.tenant.goldenQuestions.create({ ...question, id: 'gold_1', expected: { externalKeys: ['otters'] } });
    const worse = await house.generations.request(bot, { embeddingModel: 'fake/large' });
    await house.reaches(worse, 'ready');
    expect(await house.tenant.generations.get(bot.id, worse.id)).toMatchObject({
      comparison: {
        basis: 'golden',
        queries: 1,
        ndcgOld: 1,
        ndcgNew: 0,
        won: 0,
        lost: 1,
        verdict: 'worse',
        overlapAt10: 0,
      },
    });
    expect(await house.tenant.generations.active(bot.id)).toMatchObject({ embeddingModel: 'fake/small' });
    expect(await house.generations.activate(bot, worse.id)).toMatchObject({ state: { type: 'active' } });
  });

  it('refuses what cannot be, before anything is built', async () => {
    const request = (of: Parameters<Generations['request']>[1]) => house.generations.request(bot, of);
    await expect(request({ dimensions: 99 })).rejects.toMatchObject({ code: 'embedding_dimension_mismatch' });
    await expect(request({ embeddingModel: 'fake/none' })).rejects.toMatchObject({ code: 'model_not_found' });
    await expect(request({})).rejects.toMatchObject({ code: 'generation_not_usable' });
    await expect(house.generations.rollBack(bot)).rejects.toMatchObject({ code: 'generation_not_found' });
    const [active] = await house.list(bot);
    await expect(house.generations.remove(bot, active?.id ?? '')).rejects.toMatchObject({
      code: 'generation_not_usable',
    });
    await expect(house.generations.activate(bot, 'gen_none')).rejects.toMatchObject({ code: 'generation_not_found' });
    expect(await house.list(bot)).toHaveLength(1);
  });

  it('removes a generation with its vectors and nothing else', async () => {
    const next = await change({ embeddingModel: 'fake/large' });
    const [old] = await house.list(bot);
    if (old === undefined) throw new Error('The generation before is gone.');
    expect(await house.generations.remove(bot, old.id)).toBe(true);
    await until(async () => (await house.list(bot)).length === 1);
    const hashes = (await house.tenant.chunks.sample(bot.id, FIRST_CHUNK_SET, 100)).map(({ hash }) => hash);
    expect((await house.tenant.chunks.findVectors(keyOf(old), hashes)).size).toBe(0);
    expect((await house.tenant.chunks.findVectors(keyOf(next), hashes)).size).toBeGreaterThan(0);
    await expect(house.generations.rollBack(bot)).rejects.toMatchObject({ code: 'generation_not_found' });
  });

  it('cuts content anew when the chunker changes, reuses vectors of equal chunks, and keeps both ways apart', async () => {
    const before = await house.searcher.search(bot, { query: 'badgers holidays', maxNumResults: 50 });
    const next = await change({ chunking: SMALL_CHUNKS });
    const after = await house.searcher.search(bot, { query: 'badgers holidays', maxNumResults: 50 });
    const idsBefore = new Set(before.hits.map(({ chunk }) => chunk.id));
    expect(after.hits.length).toBeGreaterThan(before.hits.length);
    expect(after.hits.some(({ chunk }) => idsBefore.has(chunk.id))).toBe(false);
    expect(after.hits.every(({ chunk }) => chunk.tokens <= 20)).toBe(true);
    expect(next.chunkSet).not.toBe(FIRST_CHUNK_SET);
    expect((await house.tenant.bots.get(bot.id))?.chunking).toEqual(SMALL_CHUNKS);
    const back = await house.generations.rollBack(bot);
    expect(back.chunkSet).toBe(FIRST_CHUNK_SET);
    expect((await house.tenant.bots.get(bot.id))?.chunking).toEqual({ type: 'auto' });
    const again = await house.searcher.search(bot, { query: 'badgers holidays', maxNumResults: 50 });
    expect(again.hits.map(({ chunk }) => chunk.id)).toEqual(before.hits.map(({ chunk }) => chunk.id));
    await house.generations.remove(bot, next.id);
    await until(async () => (await house.list(bot)).length === 1);
    expect(await house.tenant.chunks.sample(bot.id, next.chunkSet, 10)).toEqual([]);
  });

  it('fails no question, and mixes no generations, while it builds, swaps, rolls back and trains', async () => {
    let asked = 0;
    let running = true;
    const ask = async (): Promise<void> => {
      for (; running; asked += 1) {
        const topic = TOPICS[asked % TOPICS.length] ?? '';
        const result = await house.searcher.search(bot, { query: `${topic} and money`, maxNumResults: 5 });
        expect(result.lexicalOnly).toBe(false);
        expect(result.hits[0]?.chunk.externalKey).toBe(topic);
        const sets = new Set(result.hits.map(({ chunk }) => (chunk.tokens <= 20 ? 'small' : 'large')));
        expect(sets.size).toBe(1);
      }
    };
    const questions = Promise.all([ask(), ask()]);
    const next = await change({ embeddingModel: 'fake/large', chunking: SMALL_CHUNKS });
    await house.train(bot, ['newts', 'toads']);
    await house.reaches(await house.generations.rollBack(bot), 'active');
    await house.reaches(await house.generations.rollBack(bot), 'active');
    expect(await house.tenant.generations.active(bot.id)).toMatchObject({ id: next.id });
    running = false;
    await questions;
    expect(asked).toBeGreaterThan(20);
  });

  it('goes on after the process died in mid-build, embedding nothing twice', async () => {
    let release = (): void => {};
    let held = 0;
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    embedders.add('fake/slow', 24, async (texts) => {
      held += texts.length;
      if (held > 2) await gate;
    });
    await house.generations.request(bot, { embeddingModel: 'fake/slow' });
    await until(async () => held > 2);
    // The fake never answers: what was under way is lost, as it is when a process dies.
    await house.stop();
    expect(await best('otters').catch(() => undefined)).toBeUndefined();
    release();
    embedders.add('fake/slow', 24);
    house = new House(folder, embedders);
    await house.start();
    await house.keeper.start();
    await until(async () => (await house.tenant.generations.active(bot.id))?.embeddingModel === 'fake/slow');
    expect((await best('otters and money'))?.externalKey).toBe('otters');
  });

  it('can be cancelled and deleted in mid-build; the bot can be deleted, too', async () => {
    embedders.add('fake/stuck', 24, async (texts) => {
      if (texts.length > 1) await new Promise(() => {});
    });
    const stuck = await house.generations.request(bot, { embeddingModel: 'fake/stuck' });
    await expect(house.generations.request(bot, { embeddingModel: 'fake/large' })).rejects.toMatchObject({
      code: 'generation_busy',
    });
    expect(await house.generations.request(bot, { embeddingModel: 'fake/stuck' })).toMatchObject({ id: stuck.id });
    expect(await house.generations.remove(bot, stuck.id)).toBe(true);
    await until(async () => (await house.list(bot)).length === 1);
    await house.generations.request(bot, { embeddingModel: 'fake/stuck' });
    expect(await house.trainer.removeBot(bot)).toMatchObject({ sources: 4 });
    expect(await house.list(bot)).toEqual([]);
  });

  it('follows a change of the settings at the next start, while the one before answers', async () => {
    await house.stop();
    embedders.ownId = 'fake/large';
    house = new House(folder, embedders);
    await house.start();
    expect(await house.tenant.generations.active(bot.id)).toMatchObject({ embeddingModel: 'fake/small' });
    await house.keeper.start();
    const [, next] = await house.list(bot);
    expect(next).toMatchObject({ embeddingModel: 'fake/large', origin: 'server' });
    if (next === undefined) return;
    await house.reaches(next, 'active');
  });

  it('answers by words while the embedder before is gone, and trains for the one that follows', async () => {
    await house.stop();
    embedders.ownId = 'fake/large';
    embedders.missing.add('fake/small');
    let release = (): void => {};
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    embedders.add('fake/large', 48, () => gate);
    house = new House(folder, embedders);
    await house.start();
    await house.keeper.start();
    const found = await house.searcher.search(bot, { query: 'otters and money', maxNumResults: 3 });
    expect(found).toMatchObject({ lexicalOnly: true });
    expect(found.hits[0]?.chunk.externalKey).toBe('otters');
    expect(await house.indexes.training({ tenantId: TENANT, botId: bot.id })).toMatchObject({
      generation: { embeddingModel: 'fake/large' },
    });
    release();
    await until(async () => (await house.tenant.generations.active(bot.id))?.embeddingModel === 'fake/large');
    expect((await house.searcher.search(bot, { query: 'otters and money' })).lexicalOnly).toBe(false);
  });
});
