import { randomBytes } from 'node:crypto';
import type { InjectOptions } from 'fastify';
import { openSqlite } from '../adapters/sqlite/index.ts';
import {
  type AnswerEvent,
  type Answerer,
  type AnswerRequest,
  createAnswerStreams,
  createMemoryStreamBuffer,
  createPromptPreviewer,
  createUsageLedger,
  type Searcher,
  type SearchRequest,
  type UsageLedger,
} from '../chat/index.ts';
import type { EmbeddingGenerator } from '../embeddings/index.ts';
import { createJobEvents } from '../jobs/index.ts';
import {
  AppError,
  type Clock,
  createIdMaker,
  type Logger,
  type Meter,
  silentMeter,
  systemClock,
} from '../kernel/index.ts';
import { createPriceBook } from '../llm/index.ts';
import { createMemoryBus } from '../resilience/index.ts';
import { createApiKeys, createRateLimiter, hashSecret } from '../security/index.ts';
import type { ApiKeyScope, Bot, Citation, Source, Store } from '../store/index.ts';
import {
  createBundleExporter,
  createBundleImporter,
  createDuplicateFinder,
  createSyncRuns,
  createUnfinishedImports,
  type SourceContent,
  type SourceOptions,
  type Trainer,
} from '../training/index.ts';
import { createHttpApp, type DemoBot, type HttpParts, type ServingState, type ZodApp } from './index.ts';

export const ADMIN_KEY = 'admin-key-for-tests-only';
const SPACE = { generation: 'fake/letters@1:4', dimensions: 4 };
/** Sources of these tests have no files. */
const NO_FILES = { put: async () => ({ hash: '', bytes: 0 }), localPath: async () => '' };
const PEPPER = 'pepper-for-tests-only';

/** What the scripted trainer was given. */
export interface TrainerCall {
  readonly content: SourceContent;
  readonly options: SourceOptions;
  readonly files: readonly { readonly name: string; readonly mediaType: string; readonly bytes: Buffer }[];
}

export interface TestServer {
  readonly app: ZodApp;
  readonly store: Store;
  readonly parts: HttpParts;
  readonly ledger: UsageLedger;
  readonly trained: TrainerCall[];
  readonly asked: AnswerRequest[];
  readonly searched: SearchRequest[];
  readonly embedded: string[][];
  readonly announced: string[];
  /** What became of questions, as `onQuestion` was told. */
  readonly questions: ('came' | 'left')[];
  readonly counted: { readonly name: string; readonly labels: Readonly<Record<string, string>> }[];
  readonly logged: { readonly fields: unknown; readonly message: string }[];
  state: ServingState;
  answer: Answerer['answer'];
  /** What happens to uploads and texts; replaced by tests that make training fail. */
  beforeTraining: () => Promise<void>;
  /** A new key; without a tenant, in the default one. */
  key(scopes: readonly ApiKeyScope[], more?: Record<string, unknown>): Promise<string>;
  call(request: InjectOptions & { readonly key?: string | null; readonly json?: unknown }): Promise<Answered>;
  stop(): Promise<void>;
}

export interface Answered {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers freely; shapes are checked against the contract
  readonly body: any;
}

export const CITATION: Citation = {
  index: 1,
  sourceId: 'src_1',
  documentId: 'doc_1',
  chunkId: 'chk_1',
  externalKey: null,
  title: 'Guide',
  url: null,
  page: null,
  start: 0,
  end: 5,
  quote: 'Hello',
  score: 0.9,
};

export const START: AnswerEvent = {
  type: 'start',
  messageId: 'msg_test1',
  conversationId: null,
  servedBy: 'local/extractive',
  attempts: 1,
  cache: 'miss',
  degraded: [],
};

export const END: AnswerEvent = {
  type: 'end',
  finishReason: 'stop',
  usage: { inputTokens: 12, outputTokens: 3 },
  citations: [CITATION],
  grounded: true,
  degraded: [],
};

/** An answer of these pieces of text. */
export async function* scripted(...texts: readonly string[]): AsyncGenerator<AnswerEvent> {
  yield START;
  for (const text of texts) yield { type: 'text-delta', text };
  yield END;
}

/** The whole application over a real store in memory; what trains, searches and answers is scripted. */
export async function startTestServer(
  options: { readonly clock?: Clock; readonly demo?: DemoBot; readonly limits?: HttpParts['limits'] } = {},
): Promise<TestServer> {
  const clock = options.clock ?? systemClock;
  const createId = createIdMaker(Date.now);
  const logged: TestServer['logged'] = [];
  const counted: TestServer['counted'] = [];
  const log = (fields: unknown, message: string): void => void logged.push({ fields, message });
  const logger: Logger = { debug: log, info: log, warn: log, error: log };
  const { store } = openSqlite({ file: ':memory:', clock, logger });
  await store.start();
  await store.tenants.create({ id: 'tnt_default', name: 'Default', createdAt: 1000, updatedAt: 1000 });
  const trained: TrainerCall[] = [];
  const asked: AnswerRequest[] = [];
  const searched: SearchRequest[] = [];
  const embedded: string[][] = [];
  const announced: string[] = [];
  const questions: ('came' | 'left')[] = [];

  const prices = createPriceBook({ clock, logger });
  const ledger = createUsageLedger({ store: store.system.usage, prices, clock, logger, meter: silentMeter });
  const trainer = scriptedTrainer(store, { createId, trained, before: () => server.beforeTraining() });
  const answerer: Answerer = {
    answer(request, signal, reportUsage) {
      asked.push(request);
      return server.answer(request, signal, reportUsage);
    },
  };
  const meter: Meter = {
    count: (name, labels) => void counted.push({ name, labels }),
    observe: () => {},
    gauge: () => {},
  };
  const parts: HttpParts = {
    store,
    trainer,
    syncRuns: createSyncRuns({ store, trainer, clock, createId }),
    duplicates: createDuplicateFinder({ store }),
    bundles: {
      exporter: createBundleExporter({ store, blobs: NO_FILES, spaceOf: async () => SPACE, clock }),
      importer: createBundleImporter({
        store,
        blobs: NO_FILES,
        vectors: { upsert: async () => {}, deleteNamespace: async () => {} },
        spaceOf: async () => SPACE,
        completeIndex: async () => {},
        unfinished: createUnfinishedImports(store.system.leases),
        announce: async (id) => void announced.push(id),
        removeBot: (bot) => store.forTenant(bot.tenantId).bots.delete(bot.id),
        clock,
        createId,
        maxFileBytes: 1_000_000,
      }),
    },
    searcher: scriptedSearcher(searched),
    answerer,
    streams: createAnswerStreams({
      store,
      bus: createMemoryBus(),
      answerer,
      buffer: createMemoryStreamBuffer({ clock }),
      clock,
      createId,
      logger,
      meter,
    }),
    prompts: createPromptPreviewer({
      store,
      searcher: scriptedSearcher(searched),
      chooseModel: () => ({ caller: { id: 'fake/model', stream: neverCalled }, readsPrompts: true }),
      ledger,
      counter: { count: (text) => text.length },
      clock,
      createId,
      logger,
      meter: silentMeter,
    }),
    embeddings: scriptedEmbeddings(embedded),
    ledger,
    prices: async () => prices.list(),
    chunkingModules: ['@langchain/textsplitters'],
    requireSplitter: async ({ module, className }) => {
      if (className !== 'NoSplitter') return;
      throw new AppError('chunking_failed', `"${module}" has no text splitter named "${className}".`);
    },
    apiKeys: createApiKeys({
      store,
      pepper: PEPPER,
      defaultTenantId: 'tnt_default',
      adminKeyHashes: async () => [hashSecret(PEPPER, ADMIN_KEY)],
      clock,
      createId,
      random: randomBytes,
      logger,
    }),
    defaultTenantId: 'tnt_default',
    rateLimiter: createRateLimiter({ clock }),
    jobEvents: createJobEvents({ store, clock }),
    announceJob: async (id) => void announced.push(id),
    onQuestion: () => {
      questions.push('came');
      return () => void questions.push('left');
    },
    meter,
    renderMetrics: async () => ({ contentType: 'text/plain; version=0.0.4', text: 'ai_error_total 0\n' }),
    logger,
    clock,
    createId,
    servingState: () => server.state,
    limits: options.limits ?? { maxUploadBytes: 1_000_000, bodyBytes: 2_000_000 },
    version: '0.0.0-test',
    ...(options.demo && { demo: options.demo }),
  };
  const app = createHttpApp(parts);
  checkAnswers(app);

  const server: TestServer = {
    app,
    store,
    parts,
    ledger,
    trained,
    asked,
    searched,
    embedded,
    announced,
    questions,
    counted,
    logged,
    state: 'ready',
    answer: () => scripted('Hello [1]'),
    beforeTraining: async () => {},
    async key(scopes, more = {}) {
      const answer = await server.call({
        method: 'POST',
        url: '/v1/api_keys',
        json: { name: 'test', scopes, ...more },
      });
      if (answer.status !== 201) throw new Error(`No key was made: ${answer.text}`);
      return answer.body.secret;
    },
    async call({ key = ADMIN_KEY, json, ...request }) {
      const response = await app.inject({
        ...request,
        ...(json === undefined ? {} : { payload: JSON.stringify(json) }),
        headers: {
          ...(key === null ? {} : { authorization: `Bearer ${key}` }),
          ...(json === undefined ? {} : { 'content-type': 'application/json' }),
          ...request.headers,
        },
      });
      const isJson = String(response.headers['content-type']).startsWith('application/json');
      return {
        status: response.statusCode,
        headers: response.headers as Record<string, string>,
        text: response.body,
        body: isJson && response.body !== '' ? response.json() : null,
      };
    },
    async stop() {
      await app.close();
      await ledger.stop();
      await store.stop();
    },
  };
  await app.ready();
  return server;
}

/** Every JSON answer must be what the contract says. */
function checkAnswers(app: ZodApp): void {
  app.addHook('preSerialization', async (request, reply, payload) => {
    const shapes = request.routeOptions.schema?.response as Record<string, unknown> | undefined;
    const shape = jsonShape(shapes?.[reply.statusCode]);
    if (shape !== null && reply.statusCode < 400) shape.parse(payload);
    return payload;
  });
}

interface Shape {
  parse(value: unknown): unknown;
}

function jsonShape(shape: unknown): Shape | null {
  if (typeof shape !== 'object' || shape === null) return null;
  if ('parse' in shape) return shape as Shape;
  const content = (shape as { content?: Record<string, { schema: Shape }> }).content;
  return content?.['application/json']?.schema ?? null;
}

function scriptedTrainer(
  store: Store,
  {
    createId,
    trained,
    before,
  }: {
    readonly createId: HttpParts['createId'];
    readonly trained: TrainerCall[];
    readonly before: () => Promise<void>;
  },
): Trainer {
  async function take(bot: Bot, content: SourceContent, options: SourceOptions): Promise<Source> {
    await before();
    const files = [];
    if (content.type === 'file') {
      for await (const { name, mediaType, content: stream } of content.files) {
        const bytes: Buffer[] = [];
        for await (const part of stream) bytes.push(part as Buffer);
        files.push({ name, mediaType, bytes: Buffer.concat(bytes) });
      }
    }
    const call = { content, options: { ...options }, files };
    trained.push(call);
    const source: Source = {
      id: createId('src'),
      tenantId: bot.tenantId,
      botId: bot.id,
      type: content.type,
      title: ('title' in content ? content.title : undefined) ?? 'Untitled',
      url: null,
      status: 'queued',
      stage: 'loading',
      progress: { done: 0, total: 1 },
      counts: { documents: 0, chunks: 0, tokens: 0, reused: 0 },
      lastError: null,
      jobId: null,
      externalKey: options.externalKey ?? null,
      metadata: options.metadata ?? {},
      inputs: [],
      contentHash: JSON.stringify('content' in content ? content.content : files.map((file) => file.bytes.toString())),
      createdAt: 1_700_000_000_000,
      updatedAt: 1_700_000_000_000,
    };
    const { tenantId: _, ...row } = source;
    await store.forTenant(bot.tenantId).sources.create(row);
    return source;
  }
  return {
    add: take,
    async put(bot, externalKey, replacement) {
      const { sources, syncRuns } = store.forTenant(bot.tenantId);
      await syncRuns.noteUpload(bot.id, externalKey);
      const old = await sources.getByExternalKey(bot.id, externalKey);
      const text = replacement.content.type === 'text' ? JSON.stringify(replacement.content.content) : null;
      if (old !== null && old.contentHash === text) return { source: old, change: 'unchanged' };
      if (old !== null) await sources.delete(bot.id, old.id);
      const source = await take(bot, replacement.content, { externalKey });
      return { source, change: old === null ? 'created' : 'replaced' };
    },
    sync: async (_bot, source) => source,
    remove: async (bot, id) => (await store.forTenant(bot.tenantId).sources.delete(bot.id, id))?.receipt ?? null,
    forget: async () => {},
    removeBot: (bot) => store.forTenant(bot.tenantId).bots.delete(bot.id),
  };
}

function scriptedSearcher(searched: SearchRequest[]): Searcher {
  return {
    async search(bot, request) {
      searched.push(request);
      const chunk = {
        id: 'chk_1',
        tenantId: bot.tenantId,
        botId: bot.id,
        sourceId: 'src_1',
        documentId: 'doc_1',
        position: 0,
        start: 0,
        end: 5,
        text: 'Hello',
        headingPath: ['Guide'],
        page: null,
        tokens: 1,
        hash: 'ab',
        documentTitle: 'Guide',
        documentUrl: null,
        externalKey: null,
      };
      return {
        query: request.query,
        hits: [{ chunk, score: 0.8, scores: { dense: 0.5, lexical: null } }],
        lexicalOnly: true,
      };
    },
  };
}

const neverCalled = (): never => {
  throw new Error('No model is called here.');
};

function scriptedEmbeddings(embedded: string[][]): EmbeddingGenerator {
  return {
    profile: {
      id: 'local/static-en',
      dimensions: 3,
      version: '1',
      maxTextsPerCall: 100,
      maxConcurrentCalls: 1,
      fusionWeight: 0.3,
      window: null,
      local: true,
    },
    generation: 'local/static-en@1:3',
    async embed(texts) {
      embedded.push([...texts]);
      return { vectors: texts.map(() => Float32Array.of(1, 0.5, -0.25)), inputTokens: texts.length };
    },
  };
}
