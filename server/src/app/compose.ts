import { randomBytes, randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { createFileBlobStore } from '../adapters/file-system/index.ts';
import { type LangChain, requireTextSplitter, TEXT_SPLITTER_MODULE } from '../adapters/langchain/index.ts';
import type { Sqlite } from '../adapters/sqlite/index.ts';
import { createAnswerer, createAnswerStreams, createPromptPreviewer, createSearcher } from '../chat/index.ts';
import type { Embedder, EmbeddingSpaces } from '../embeddings/index.ts';
import { createHttpApp, type DemoBot, type ServingState, type ZodApp } from '../http/index.ts';
import { createJobEvents, createJobRunner, createJobWatch, createMemoryTransport } from '../jobs/index.ts';
import type { Clock, IdMaker, Lifecycle, Logger } from '../kernel/index.ts';
import type { TokenCounter } from '../llm/index.ts';
import type { PrometheusMeter } from '../monitoring/index.ts';
import type { RightOfWay } from '../resilience/index.ts';
import { createApiKeys } from '../security/index.ts';
import type { Bot } from '../store/index.ts';
import {
  createBotIndexes,
  createBundleExporter,
  createBundleImporter,
  createDocumentParser,
  createDuplicateFinder,
  createGenerationHandler,
  createGenerationKeeper,
  createGenerations,
  createRemovedSources,
  createSyncRuns,
  createTrainer,
  createTrainingHandler,
  createUnfinishedImports,
  type Trainer,
  withoutRemovedSources,
} from '../training/index.ts';
import { composeAnswerCache } from './answer-cache.ts';
import { composeUsage } from './compose-usage.ts';
import { composeVectorStore } from './compose-vector-store.ts';
import { composeWeb } from './compose-web.ts';
import type { Config } from './config.ts';
import { DEFAULT_TENANT_ID } from './first-start.ts';
import { composeFollowing } from './following.ts';
import { createHousekeeping, removeUnfinishedImports } from './housekeeping.ts';
import { createModelChooser } from './models.ts';
import type { Providers } from './providers.ts';
import { createIndexSearch } from './search-spaces.ts';
import { composeSharedState } from './shared-state.ts';

const JSON_BODY_BYTES = 10 * 1024 ** 2;
/** Loading waits mostly for the parser and the database; embedding takes the processor. */
const STAGES_AT_ONCE = 8;
const EMBEDDING_STAGES_AT_ONCE = 2;

export interface CompositionOptions {
  readonly config: Config;
  readonly version: string;
  readonly logger: Logger;
  readonly meter: PrometheusMeter;
  readonly clock: Clock;
  readonly createId: IdMaker;
  readonly sqlite: Sqlite;
  /** What the configuration names of LangChain.js, loaded. */
  readonly langChain: LangChain;
  readonly counter: TokenCounter;
  /** Closed to background work while questions are being answered. */
  readonly questionsFirst: RightOfWay;
  readonly blobFolder: string;
  readonly pepper: string;
  readonly adminKeyHashes: readonly string[];
  /** Already started: some embedders learn their width from their provider. */
  readonly embedders: EmbeddingSpaces;
  readonly providers: Providers;
  /** Makes further vectors of what is trained, in the background; null: none. */
  readonly follower: Embedder | null;
  readonly demo: DemoBot | null;
  readonly servingState: () => ServingState;
}

export interface Composition {
  readonly http: ZodApp;
  readonly trainer: Trainer;
  readonly chatModel: string;
  /** Lets answers that are under way finish for a while, then ends them. */
  readonly drainAnswers: (limitMs: number) => Promise<void>;
  /** Everything that lives beside the store and the HTTP server, in starting order. */
  readonly parts: readonly Lifecycle[];
}

/** The whole house in one place: what is made of what. Nothing runs yet. */
export function composeApplication(options: CompositionOptions): Composition {
  const { config, embedders, langChain, counter, logger, meter, clock, createId } = options;
  const { store, lexicalIndex } = options.sqlite;
  const blobs = createFileBlobStore({ folder: options.blobFolder });
  const embeddings = embedders.own;
  const indexedVectors = composeVectorStore(options);
  const { giveWay } = options.questionsFirst;
  const parser = createDocumentParser({
    giveWay,
    splitters: { module: TEXT_SPLITTER_MODULE, allowed: config.chunkingModules },
  });
  const transport = createMemoryTransport();
  const jobEvents = createJobEvents({ store, clock });
  const announce = (jobId: string): Promise<void> => transport.announce(jobId);
  const usage = composeUsage({ config, store, counter, createId, clock, logger, meter });
  const { ledger, onEmbedding } = usage;
  const indexes = createBotIndexes({ store, embedders, clock, createId, onEmbedding });
  const worker = { owner: `${hostname()}:${process.pid}:${randomUUID()}`, host: hostname(), pid: process.pid };
  const removedSources = createRemovedSources();
  const following = composeFollowing({
    ...{ store, transport, events: jobEvents, clock, createId, logger, meter, worker },
    embeddings,
    indexes,
    embedder: options.follower,
    vectors: withoutRemovedSources(indexedVectors, removedSources),
  });
  const { vectors, spaces } = following;
  const web = composeWeb({ config, version: options.version, store, announce, clock, createId, logger });
  const housekeeping = createHousekeeping({
    ...{ store, blobs, vectors, clock, logger },
    indexes,
  });
  const search = { store, vectors, lexical: lexicalIndex, clock, logger, meter };
  const generationParts = { store, indexes, embedders, vectors, announce, clock, createId, logger, meter };
  const generations = createGenerations(generationParts);
  const shared = composeSharedState({ config, clock, logger, meter });
  const keptAnswers = composeAnswerCache(options, shared);
  const trainer = createTrainer({
    store,
    blobs,
    web: web.parts.client,
    announce,
    vectors,
    removedSources,
    onRemoved: (bot) => {
      keptAnswers.forget(bot);
      housekeeping.clearSoon();
    },
    indexes,
    clock,
    createId,
    limits: { maxInputBytes: config.maxUploadBytes },
  });
  const trainingHandler = createTrainingHandler({
    store,
    blobs,
    web: web.parts,
    parser,
    indexes,
    rechunk: parser.cut,
    vectors,
    clock,
    logger,
    onTrained: (bot) => void generations.catchUp(bot),
  });
  const generationHandler = createGenerationHandler({
    ...generationParts,
    rechunk: parser.cut,
    search: createIndexSearch(search),
  });
  const runner = createJobRunner({
    store,
    transport,
    handlers: [following.watched(trainingHandler), generationHandler],
    events: jobEvents,
    clock,
    logger,
    meter,
    ...worker,
    concurrency: STAGES_AT_ONCE,
    slowPlaces: EMBEDDING_STAGES_AT_ONCE,
    reclaimOwners: 'all',
  });
  const unfinishedImports = createUnfinishedImports(store.system);
  const spaceOf = async ({ tenantId, id: botId }: Bot) => {
    const { key, generation } = await indexes.training({ tenantId, botId });
    return { generation: key, dimensions: generation.dimensions };
  };
  const bundles = {
    exporter: createBundleExporter({ store, blobs, spaceOf, clock }),
    importer: createBundleImporter({
      store,
      blobs,
      vectors,
      spaceOf,
      unfinished: unfinishedImports,
      announce,
      completeIndex: ({ tenantId, id: botId }) => generations.completeAll({ tenantId, botId }),
      removeBot: (bot) => trainer.removeBot(bot),
      clock,
      createId,
      maxFileBytes: config.maxUploadBytes,
    }),
  };
  const searcher = createSearcher({ ...search, spaces });
  const { circuitStates } = shared;
  const { providers } = options;
  const models = { config, providers, langChain, circuitStates, clock, logger, meter, embeddings, counter };
  const chooseModel = createModelChooser(models);
  const answering = { store, searcher, chooseModel, ledger, counter, clock, createId, logger, meter };
  const answerer = createAnswerer({ ...answering, ...keptAnswers.options });
  const streams = createAnswerStreams({
    answerer,
    store,
    ...(shared.redisState === null ? {} : { chatNames: shared.cache }),
    lostAfterMs: config.deadlines.totalMs + 60_000,
    buffer: shared.streamBuffer,
    bus: shared.bus,
    clock,
    createId,
    logger,
    meter,
    graceMs: config.streams.resumeGraceMs,
  });
  const apiKeys = createApiKeys({
    store,
    pepper: options.pepper,
    adminKeyHashes: options.adminKeyHashes,
    defaultTenantId: DEFAULT_TENANT_ID,
    clock,
    createId,
    random: randomBytes,
    logger,
    bus: shared.bus,
  });
  const duplicates = createDuplicateFinder({ store });
  const http = createHttpApp({
    store,
    trainer,
    bundles,
    syncRuns: createSyncRuns({ store, trainer, clock, createId }),
    duplicates,
    searcher,
    answerer,
    streams,
    prompts: createPromptPreviewer(answering),
    embeddings,
    ledger,
    prices: usage.listPrices,
    generations,
    requireModels: (bot) => {
      chooseModel(bot);
    },
    chunkingModules: config.chunkingModules,
    requireSplitter: requireTextSplitter,
    apiKeys,
    rateLimiter: shared.rateLimiter,
    jobEvents,
    announceJob: announce,
    onQuestion: () => options.questionsFirst.enter(),
    meter,
    renderMetrics: () => meter.render(),
    logger,
    clock,
    createId,
    servingState: options.servingState,
    ...(shared.redisState === null ? {} : { redisState: shared.redisState }),
    limits: { maxUploadBytes: config.maxUploadBytes, bodyBytes: JSON_BODY_BYTES },
    ...(options.demo === null ? {} : { demo: options.demo }),
    version: options.version,
  });
  return {
    http,
    trainer,
    drainAnswers: streams.drain,
    chatModel: `${config.chatModel.provider}/${config.chatModel.model}`,
    parts: [
      ...shared.parts,
      { name: 'vector store', start: () => vectors.start(), stop: () => vectors.stop() },
      { name: 'parser', start: () => parser.start(), stop: () => parser.stop() },
      ledger,
      { name: 'answers', start: async () => {}, stop: () => answerer.drain() },
      { name: 'job transport', start: () => transport.start(), stop: () => transport.stop() },
      {
        name: 'unfinished imports',
        start: () => removeUnfinishedImports({ store, trainer, unfinished: unfinishedImports, logger }),
        stop: async () => {},
      },
      duplicates,
      housekeeping,
      web.lifecycle,
      runner,
      ...following.parts,
      web.schedule,
      createJobWatch({ claims: store.system.jobs, workers: store.system.workers, clock, logger, meter }),
      createGenerationKeeper({ ...generationParts, generations }),
    ],
  };
}
