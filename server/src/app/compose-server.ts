import { randomBytes } from 'node:crypto';
import { requireTextSplitter } from '../adapters/langchain/index.ts';
import { createAnswerer, createAnswerStreams, createPromptPreviewer, createSearcher } from '../chat/index.ts';
import { createHttpApp, type DemoBot, type ServingState, type ZodApp } from '../http/index.ts';
import type { Lifecycle } from '../kernel/index.ts';
import { type ApiKeys, createApiKeys } from '../security/index.ts';
import type { Bot } from '../store/index.ts';
import {
  createBundleExporter,
  createBundleImporter,
  createDuplicateFinder,
  createSyncRuns,
} from '../training/index.ts';
import { type Core, searchPartsOf } from './compose-core.ts';
import { DEFAULT_TENANT_ID } from './first-start-names.ts';
import { createModelChooser } from './models.ts';

const JSON_BODY_BYTES = 10 * 1024 ** 2;

export interface ServerOptions {
  readonly adminKeyHashes: () => Promise<readonly string[]>;
  readonly demo: DemoBot | null;
  readonly servingState: () => ServingState;
}

export interface ComposedServer {
  readonly http: ZodApp;
  /** Lets answers that are under way finish for a while, then ends them. */
  readonly drainAnswers: (limitMs: number) => Promise<void>;
  /** In starting order. */
  readonly parts: readonly Lifecycle[];
}

/** What takes requests and answers questions. */
export function composeServer(core: Core, options: ServerOptions): ComposedServer {
  const { config, store, shared, trainer, generations, embedders, clock, createId, logger, meter } = core;
  const searcher = createSearcher({ ...searchPartsOf(core), spaces: core.following.spaces });
  const { answerer, streams, prompts, chooseModel } = composeAnswering(core, searcher);
  const duplicates = createDuplicateFinder({ store });
  const { queueBoard } = core;
  const http = createHttpApp({
    ...{
      store,
      trainer,
      searcher,
      answerer,
      streams,
      prompts,
      duplicates,
      generations,
      logger,
      clock,
      createId,
      meter,
    },
    bundles: composeBundles(core),
    syncRuns: createSyncRuns({ store, trainer, clock, createId }),
    embeddings: embedders.own,
    ledger: core.ledger,
    prices: core.usage.listPrices,
    requireModels: (bot) => {
      chooseModel(bot);
    },
    chunkingModules: config.chunkingModules,
    requireSplitter: requireTextSplitter,
    apiKeys: composeApiKeys(core, options.adminKeyHashes),
    defaultTenantId: DEFAULT_TENANT_ID,
    rateLimiter: shared.rateLimiter,
    jobEvents: core.jobEvents,
    announceJob: core.announce,
    onQuestion: () => core.questionsFirst.enter(),
    renderMetrics: () => meter.render(),
    servingState: options.servingState,
    ...(shared.redisState === null ? {} : { redisState: shared.redisState }),
    ...(queueBoard === null ? {} : { queueBoard: (path: string) => queueBoard.get(path) }),
    limits: { maxUploadBytes: config.maxUploadBytes, bodyBytes: JSON_BODY_BYTES },
    ...(options.demo === null ? {} : { demo: options.demo }),
    version: core.version,
  });
  return {
    http,
    drainAnswers: streams.drain,
    parts: [{ name: 'answers', start: async () => {}, stop: () => answerer.drain() }, duplicates],
  };
}

/** Who may use the server: also asked by a worker, for its metrics. */
export function composeApiKeys(core: Core, adminKeyHashes: ServerOptions['adminKeyHashes']): ApiKeys {
  const { store, pepper, clock, createId, logger, shared } = core;
  return createApiKeys({
    ...{ store, pepper, adminKeyHashes, clock, createId, logger, bus: shared.bus },
    defaultTenantId: DEFAULT_TENANT_ID,
    random: randomBytes,
  });
}

function composeAnswering(core: Core, searcher: ReturnType<typeof createSearcher>) {
  const { config, store, shared, counter, ledger, providers, langChain, clock, createId, logger, meter } = core;
  const { circuitStates } = shared;
  const embeddings = core.embedders.own;
  const chooseModel = createModelChooser({
    ...{ config, providers, langChain, circuitStates, clock, logger, meter, embeddings, counter },
  });
  const answering = { store, searcher, chooseModel, ledger, counter, clock, createId, logger, meter };
  const answerer = createAnswerer({ ...answering, ...core.keptAnswers.options });
  const streams = createAnswerStreams({
    ...{ answerer, store, buffer: shared.streamBuffer, bus: shared.bus, clock, createId, logger, meter },
    ...(shared.redisState === null ? {} : { chatNames: shared.cache }),
    lostAfterMs: config.deadlines.totalMs + 60_000,
    graceMs: config.streams.resumeGraceMs,
  });
  return { answerer, streams, prompts: createPromptPreviewer(answering), chooseModel };
}

function composeBundles(core: Core) {
  const { config, store, blobs, vectors, indexes, generations, trainer, announce, clock, createId } = core;
  const spaceOf = async ({ tenantId, id: botId }: Bot) => {
    const { key, generation } = await indexes.training({ tenantId, botId });
    return { generation: key, dimensions: generation.dimensions };
  };
  return {
    exporter: createBundleExporter({ store, blobs, spaceOf, clock }),
    importer: createBundleImporter({
      ...{ store, blobs, vectors, spaceOf, announce, clock, createId },
      unfinished: core.unfinishedImports,
      completeIndex: ({ tenantId, id: botId }) => generations.completeAll({ tenantId, botId }),
      removeBot: (bot) => trainer.removeBot(bot),
      maxFileBytes: config.maxUploadBytes,
    }),
  };
}
