import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import type { LangChain } from '../adapters/langchain/index.ts';
import type { UsageLedger } from '../chat/index.ts';
import type { Embedder, EmbeddingSpaces } from '../embeddings/index.ts';
import { QUEUE_BOARD_PATH } from '../http/index.ts';
import { createJobEvents, type JobEvents, type JobTransport } from '../jobs/index.ts';
import type { Clock, IdMaker, Lifecycle, Logger } from '../kernel/index.ts';
import type { TokenCounter } from '../llm/index.ts';
import type { PrometheusMeter } from '../monitoring/index.ts';
import type { MessageBus, RightOfWay } from '../resilience/index.ts';
import type { BlobStore, Store } from '../store/index.ts';
import {
  type BotIndexes,
  createBotIndexes,
  createGenerations,
  createRemovedSources,
  createTrainer,
  createUnfinishedImports,
  type Generations,
  type RemovedSources,
  type Trainer,
  type UnfinishedImports,
  withoutRemovedSources,
} from '../training/index.ts';
import type { LexicalIndex, VectorStore } from '../vector-store/index.ts';
import { type ComposedAnswerCache, composeAnswerCache } from './answer-cache.ts';
import { composeBlobs } from './compose-blobs.ts';
import { type ComposedCelery, composeCelery } from './compose-celery.ts';
import { type ComposedUsage, composeUsage } from './compose-usage.ts';
import { composeVectorStore } from './compose-vector-store.ts';
import { type ComposedWeb, composeWeb } from './compose-web.ts';
import type { Config } from './config.ts';
import { isAlone } from './database-config.ts';
import { composeFollowing, type Following } from './following.ts';
import { composeJobQueue, type JobQueue } from './job-queue.ts';
import type { Database } from './open-database.ts';
import { createPresence } from './presence.ts';
import type { Providers } from './providers.ts';
import type { SharedState } from './shared-state.ts';

const CONTENT_REMOVED = 'content.removed';
const SOURCE_REMOVED = 'sources.removed';

export interface CoreOptions {
  readonly config: Config;
  readonly version: string;
  readonly logger: Logger;
  readonly meter: PrometheusMeter;
  readonly clock: Clock;
  readonly createId: IdMaker;
  readonly database: Database;
  /** What the configuration names of LangChain.js, loaded. */
  readonly langChain: LangChain;
  readonly counter: TokenCounter;
  /** Closed to background work while questions are being answered. */
  readonly questionsFirst: RightOfWay;
  readonly pepper: string;
  /** Already started: some embedders learn their width from their provider. */
  readonly embedders: EmbeddingSpaces;
  readonly providers: Providers;
  /** Makes further vectors of what is trained, in the background; null: none. */
  readonly follower: Embedder | null;
  /** No other process works on this database. */
  readonly isSole: boolean;
  readonly shared: SharedState;
}

/** What answers questions and what runs jobs are both made of. Nothing of it runs jobs or answers. */
export interface Core extends CoreOptions {
  readonly store: Store;
  readonly lexicalIndex: LexicalIndex;
  readonly blobs: BlobStore;
  readonly transport: JobTransport;
  /** A page of the queue's board by its path; null: this queue has none. */
  readonly queueBoard: JobQueue['board'];
  /** Null: no Celery is configured. */
  readonly celery: ComposedCelery | null;
  readonly jobEvents: JobEvents;
  readonly announce: (jobId: string) => Promise<void>;
  /** This process, as leases name it. */
  readonly worker: { readonly owner: string; readonly host: string; readonly pid: number };
  readonly usage: ComposedUsage;
  readonly indexes: BotIndexes;
  readonly following: Following;
  readonly vectors: VectorStore;
  readonly web: ComposedWeb;
  readonly generations: Generations;
  readonly keptAnswers: ComposedAnswerCache;
  readonly trainer: Trainer;
  readonly ledger: UsageLedger;
  readonly unfinishedImports: UnfinishedImports;
  /** Calls back when content of some bot was deleted, by whichever process. */
  readonly onContentRemoved: (listener: () => void) => { readonly close: () => void };
  /** What both roles start, in starting order. */
  readonly parts: readonly Lifecycle[];
}

/** The parts that every role has. */
export function composeCore(options: CoreOptions): Core {
  const { shared, config, embedders, counter, logger, meter, clock, createId, isSole } = options;
  const { store, lexicalIndex } = options.database;
  const { blobs, lifecycle: blobLifecycle } = composeBlobs(options);
  const { bus } = options.database;
  const celery = config.celery === null ? null : composeCelery({ celery: config.celery, store, clock, logger, meter });
  const jobQueue = composeJobQueue({ config, celery, bus, clock, logger, meter, boardPath: QUEUE_BOARD_PATH });
  const { transport } = jobQueue;
  const ownEvents = createJobEvents({ store, clock, bus: shared.bus });
  const jobEvents = celery?.withNews(ownEvents) ?? ownEvents;
  const announce = (jobId: string): Promise<void> => transport.announce(jobId);
  const usage = composeUsage({ config, store, counter, createId, clock, logger, meter });
  const indexes = createBotIndexes({ store, embedders, clock, createId, onEmbedding: usage.onEmbedding });
  const removedSources = shareRemovals(shared.bus);
  const indexedVectors = withoutRemovedSources(composeVectorStore(options), removedSources);
  const worker = { owner: `${hostname()}:${process.pid}:${randomUUID()}`, host: hostname(), pid: process.pid };
  const following = composeFollowing({
    ...{ store, transport, events: jobEvents, clock, createId, logger, meter, worker, indexes },
    ...{ embeddings: embedders.own, embedder: options.follower, vectors: indexedVectors },
  });
  const { vectors } = following;
  const web = composeWeb({ config, version: options.version, clock });
  const generations = createGenerations({
    ...{ store, indexes, embedders, vectors, announce, clock, createId, logger, meter },
  });
  const keptAnswers = composeAnswerCache(options, shared);
  const trainer = createTrainer({
    ...{ store, blobs, web: web.parts.client, announce, vectors, removedSources, indexes, clock, createId },
    onRemoved: (bot) => {
      keptAnswers.forget(bot);
      shared.bus.publish(CONTENT_REMOVED, bot.id);
    },
    limits: { maxInputBytes: config.maxUploadBytes },
  });
  return {
    ...options,
    ...{
      store,
      lexicalIndex,
      blobs,
      shared,
      transport,
      jobEvents,
      announce,
      worker,
      usage,
      indexes,
      following,
      vectors,
    },
    ...{ queueBoard: jobQueue.board, celery },
    ...{ web, generations, keptAnswers, trainer, ledger: usage.ledger },
    unfinishedImports: createUnfinishedImports(store.system.leases),
    onContentRemoved: (listener) => shared.bus.subscribe(CONTENT_REMOVED, { message: listener, gap: listener }),
    parts: [
      createPresence({ leases: store.system.leases, isSole, isAlone: isAlone(config), clock, logger }),
      blobLifecycle,
      ...shared.parts,
      { name: 'vector store', start: () => vectors.start(), stop: () => vectors.stop() },
      usage.ledger,
      ...(celery === null ? [] : [celery]),
      jobQueue.lifecycle,
      web.lifecycle,
    ],
  };
}

/** What a search of a bot's content needs. */
export function searchPartsOf({ store, vectors, lexicalIndex: lexical, clock, logger, meter }: Core) {
  return { store, vectors, lexical, clock, logger, meter };
}

/** What is deleted here is kept out of the index by every process, as soon as it is told. */
function shareRemovals(bus: MessageBus): RemovedSources {
  const removed = createRemovedSources();
  bus.subscribe(SOURCE_REMOVED, { message: (sourceId) => removed.add(sourceId) });
  return {
    has: (sourceId) => removed.has(sourceId),
    add(sourceId) {
      removed.add(sourceId);
      bus.publish(SOURCE_REMOVED, sourceId);
    },
  };
}
