import type { JsonObject } from '../kernel/index.ts';
import type { ChunkLookups } from './chunk-lookups.ts';
import type { EmbeddableChunk } from './embeddable-chunk.ts';
import type {
  AddedDocument,
  ApiKey,
  Bot,
  BotSettings,
  Chunk,
  ChunkVectors,
  Conversation,
  Document,
  DocumentState,
  Failure,
  IdempotencyRecord,
  Job,
  JobState,
  Message,
  NewChunk,
  NewDocument,
  QueuedJobs,
  Source,
  SourceCounts,
  SourceStatus,
  Tenant,
  TrainingStage,
} from './entities.ts';
import type { GenerationRepository, GoldenQuestionRepository } from './generation-ports.ts';
import type { LeaseRegistry } from './lease-ports.ts';
import type { Page, PageRequest } from './page.ts';
import type { PromptVersionRepository } from './prompt-ports.ts';
import type { SourcePageRepository } from './source-page-ports.ts';
import type { Fingerprint, RemovalReceipt, RemovedContent } from './sync-entities.ts';
import type { SyncRunRepository } from './sync-ports.ts';
import type { UsageLedgerStore, UsageRepository } from './usage-ports.ts';
import type { WebSource } from './web-source.ts';
import type { WorkerRegistry } from './worker-ports.ts';

export type { Page, PageRequest };

/**
 * The durable truth. Everything a tenant owns is reached through `forTenant`, whose handle adds the tenant to every
 * query: no caller can forget it. All methods reject with AppError `database_unavailable` when the database is away.
 */
export interface Store {
  forTenant(tenantId: string): TenantStore;
  readonly tenants: TenantRepository;
  /** What the process itself needs across tenants. */
  readonly system: SystemStore;
  /** Cheap check that the database answers. */
  ping(signal?: AbortSignal): Promise<void>;
  /** Opens the database and applies migrations. */
  start(): Promise<void>;
  stop(): Promise<void>;
}

export interface TenantStore extends TenantRepositories {
  readonly tenantId: string;
  /** All or nothing, serialised with other writers. Reads inside see the writes before them. */
  transaction<Result>(work: (repositories: TenantRepositories) => Promise<Result>): Promise<Result>;
  /**
   * A transaction that takes effect only while the job's lease is still held: rejects with `job_lease_lost` and
   * changes nothing when another worker took the job, or it was cancelled or finished meanwhile.
   */
  fencedTransaction<Result>(
    lease: JobLease,
    work: (repositories: TenantRepositories) => Promise<Result>,
  ): Promise<Result>;
  /**
   * The same for work on what `read` finds, which is asked for together with the lease: one wait instead of two. It must
   * only read, as it runs without knowing that the lease is held.
   */
  fencedTransactionOn<Seen, Result>(
    lease: JobLease,
    read: (repositories: TenantRepositories) => Promise<Seen>,
    work: (repositories: TenantRepositories, seen: Seen) => Promise<Result>,
  ): Promise<Result>;
}

export interface JobLease {
  readonly jobId: string;
  readonly fencingToken: number;
}

export interface TenantRepositories {
  readonly bots: BotRepository;
  readonly sources: SourceRepository;
  readonly pages: SourcePageRepository;
  readonly documents: DocumentRepository;
  readonly syncRuns: SyncRunRepository;
  readonly chunks: ChunkRepository;
  readonly generations: GenerationRepository;
  readonly goldenQuestions: GoldenQuestionRepository;
  readonly promptVersions: PromptVersionRepository;
  readonly jobs: JobRepository;
  readonly conversations: ConversationRepository;
  readonly messages: MessageRepository;
  readonly apiKeys: ApiKeyRepository;
  readonly usage: UsageRepository;
  readonly idempotency: IdempotencyRepository;
}

export interface TenantRepository {
  create(tenant: Tenant): Promise<void>;
  get(id: string): Promise<Tenant | null>;
  list(page: PageRequest): Promise<Page<Tenant>>;
  update(id: string, changes: { readonly name: string; readonly updatedAt: number }): Promise<Tenant | null>;
  /** Deletes the tenant and everything it owns. */
  delete(id: string): Promise<boolean>;
}

export interface BotRepository {
  /** Rejects with `slug_taken` when the tenant already has that slug. */
  create(bot: Omit<Bot, 'tenantId'>): Promise<void>;
  /** By id or slug. */
  get(idOrSlug: string): Promise<Bot | null>;
  list(page: PageRequest): Promise<Page<Bot>>;
  update(
    id: string,
    changes: Partial<BotSettings> & { readonly name?: string; readonly slug?: string; readonly updatedAt: number },
  ): Promise<Bot | null>;
  /** When content of the bot was last deleted; null: never, or there is no such bot. */
  contentRemovedAt(id: string): Promise<number | null>;
  /** Deletes the bot with its sources, documents, chunks, vectors, jobs, conversations and messages. Null: no such bot. */
  delete(id: string): Promise<RemovalReceipt | null>;
}

export interface SourceRepository {
  create(source: Omit<Source, 'tenantId'>): Promise<void>;
  /** Many sources of one bot, all or none. */
  createMany(botId: string, sources: readonly Omit<Source, 'tenantId' | 'botId'>[]): Promise<void>;
  get(botId: string, id: string): Promise<Source | null>;
  getByExternalKey(botId: string, externalKey: string): Promise<Source | null>;
  list(botId: string, page: PageRequest): Promise<Page<Source>>;
  update(
    id: string,
    changes: {
      readonly type?: Source['type'];
      readonly title?: string;
      readonly status?: SourceStatus;
      readonly stage?: TrainingStage | null;
      readonly progress?: Source['progress'];
      readonly counts?: SourceCounts;
      readonly lastError?: Failure | null;
      readonly jobId?: string | null;
      readonly metadata?: JsonObject;
      readonly inputs?: Source['inputs'];
      readonly url?: string | null;
      /** Null: the source is not fetched from the web any more. */
      readonly web?: WebSource | null;
      readonly contentHash?: string;
      readonly chunking?: Source['chunking'];
      readonly updatedAt: number;
    },
  ): Promise<void>;
  /** Deletes the source with its documents, chunks and vectors, and cancels its jobs. Says what went. */
  delete(botId: string, id: string): Promise<RemovedContent | null>;
  /** Sources with an external key that begins with `prefix`, in the order of `position`, those behind `after`. */
  keyed(
    botId: string,
    page: { readonly prefix: string; readonly after: number; readonly limit: number },
  ): Promise<readonly KeyedSource[]>;
  /** Ids of sources whose metadata (with the built-in keys `type`, `title`, `url`, `external_key`) match the filter. */
  findIds(botId: string, filter: MetadataFilter): Promise<readonly string[]>;
}

/** What a comparison with a client's files needs of a source. */
export interface KeyedSource extends Pick<Source, 'id' | 'type' | 'status' | 'metadata' | 'lastError'> {
  readonly position: number;
  readonly externalKey: string;
  /** SHA-256 of the bytes of a source that is made of one file; null for all others. */
  readonly fileHash: string | null;
}

/** OpenAI's filter shape. */
export type MetadataFilter =
  | {
      readonly type: 'eq' | 'ne' | 'gt' | 'gte' | 'lt' | 'lte';
      readonly key: string;
      readonly value: string | number | boolean;
    }
  | { readonly type: 'in' | 'nin'; readonly key: string; readonly value: readonly (string | number)[] }
  | { readonly type: 'and' | 'or'; readonly filters: readonly MetadataFilter[] };

export interface DocumentRepository {
  /** Adds a document and its chunks, and puts the chunks into the lexical index. Idempotent by document id. */
  add(botId: string, sourceId: string, document: NewDocument): Promise<void>;
  /** The same for many documents of one bot in a few statements; their chunks are of the one chunk set that is named. */
  addMany(to: { readonly botId: string; readonly chunkSet?: string }, added: readonly AddedDocument[]): Promise<void>;
  /** Cuts a stored document in one more way. Idempotent by document and chunk set; does nothing when it is gone. */
  addChunkSet(documentId: string, chunkSet: string, chunks: readonly NewChunk[]): Promise<void>;
  /** Ids of documents that are not cut in this way yet, in order: searchable ones of the bot, or all usable ones of a source. */
  withoutChunkSet(
    where: { readonly botId: string; readonly sourceId?: string; readonly chunkSet: string },
    limit: number,
  ): Promise<readonly string[]>;
  get(id: string): Promise<Document | null>;
  getMany(ids: readonly string[]): Promise<readonly Document[]>;
  /** Without their text. */
  list(sourceId: string, page: PageRequest): Promise<Page<Omit<Document, 'text'>>>;
  /** Every document id of the source in the given states. */
  idsOf(sourceId: string, states: readonly DocumentState[]): Promise<readonly string[]>;
  setState(ids: readonly string[], state: DocumentState): Promise<void>;
  /** Of the bot's searchable documents behind `after`, in the order of `position`. */
  fingerprints(
    botId: string,
    page: { readonly after: number; readonly limit: number },
  ): Promise<readonly Fingerprint[]>;
  /** Removes documents with their chunks, index entries and vectors. */
  delete(ids: readonly string[]): Promise<void>;
}

/** A chunk with what a citation needs of its document and source. */
export interface FoundChunk extends Chunk {
  readonly documentTitle: string;
  readonly documentUrl: string | null;
  readonly externalKey: string | null;
}

/**
 * `generation` is an index key (`indexKey`): vectors of its space, on chunks of its chunk set alone.
 */
export interface ChunkRepository extends ChunkLookups {
  /** Of the chunk set, else of the one that answers. */
  list(documentId: string, page: PageRequest & { readonly chunkSet?: string }): Promise<Page<Chunk>>;
  /** Only chunks of this bot whose document is searchable: what was deleted is not returned, whatever an index says. */
  getSearchable(botId: string, ids: readonly string[]): Promise<readonly FoundChunk[]>;
  /** Chunks of a source (in any state but refused) that have no vectors of the generation, in order. */
  withoutVectors(
    sourceId: string,
    generation: string,
    batch: {
      readonly limit: number;
      /** Id of a chunk: only those behind it, so that those before need not be looked through again. */
      readonly after?: string | undefined;
    },
  ): Promise<readonly EmbeddableChunk[]>;
  countOf(sourceId: string, generation: string): Promise<{ readonly chunks: number; readonly embedded: number }>;
  countOfDocuments(documentIds: readonly string[]): Promise<number>;
  /** As `countOf`, over the bot's searchable documents. */
  countOfBot(botId: string, generation: string): Promise<{ readonly chunks: number; readonly embedded: number }>;
  /** As `withoutVectors`, over the bot's searchable documents. */
  withoutVectorsOfBot(botId: string, generation: string, limit: number): Promise<readonly EmbeddableChunk[]>;
  /** Some chunks of the set, spread over the bot's searchable content. */
  sample(botId: string, chunkSet: string, limit: number): Promise<readonly EmbeddableChunk[]>;
  /** Vectors of the tenant's earlier chunks with these hashes in the space, by hash, whatever set they are in. */
  findVectors(generation: string, hashes: readonly string[]): Promise<ReadonlyMap<string, readonly Float32Array[]>>;
  putVectors(generation: string, vectors: readonly ChunkVectors[]): Promise<void>;
  /** Whether each quote can still be found: in its chunk, or else in another searchable document of its source. */
  holdQuotes(
    botId: string,
    quotes: readonly { readonly chunkId: string; readonly sourceId: string; readonly quote: string }[],
  ): Promise<readonly boolean[]>;
}

export interface JobRepository {
  create(job: Omit<Job, 'tenantId'>): Promise<void>;
  get(id: string): Promise<Job | null>;
  list(page: PageRequest & JobFilter): Promise<Page<Job>>;
  /** Marks a queued job cancelled, asks a running one to stop. Null when there is no such job or it has ended. */
  requestCancel(id: string, now: number): Promise<Job | null>;
  /** Queues a failed or cancelled job again from its stage. Null when it is in another state. */
  retry(id: string, times: { readonly now: number; readonly deadlineAt: number }): Promise<Job | null>;
}

export interface JobFilter {
  readonly state?: JobState;
  readonly kind?: string;
  /** Of one of these bots; an empty list matches none. */
  readonly botIds?: readonly string[];
  readonly sourceId?: string;
  /** The code of the last error. */
  readonly errorCode?: string;
}

export interface ConversationRepository {
  create(conversation: Omit<Conversation, 'tenantId'>): Promise<void>;
  get(id: string): Promise<Conversation | null>;
  list(page: PageRequest & { readonly botId?: string; readonly endUser?: string }): Promise<Page<Conversation>>;
  update(
    id: string,
    changes: {
      readonly title?: string;
      readonly summary?: string;
      readonly summarizedThrough?: string;
      readonly summarizedAt?: number;
      readonly updatedAt: number;
    },
  ): Promise<void>;
  /** With its messages. */
  delete(id: string): Promise<boolean>;
}

export interface MessageRepository {
  /**
   * Of an id that is there the message takes the place of one that broke off; one that is complete stays as it is. Rejects
   * with `conversation_not_found`.
   */
  append(message: Omit<Message, 'tenantId'>): Promise<void>;
  get(id: string): Promise<Message | null>;
  list(conversationId: string, page: PageRequest): Promise<Page<Message>>;
}

export interface ApiKeyRepository {
  create(key: Omit<ApiKey, 'tenantId'>): Promise<void>;
  get(id: string): Promise<ApiKey | null>;
  list(page: PageRequest): Promise<Page<ApiKey>>;
  revoke(id: string, now: number): Promise<boolean>;
}

export interface IdempotencyRepository {
  /**
   * Claims the key: null when it is now ours, else the record that holds it. Atomic. What a dead process has claimed and
   * not completed is free, unless its body names what may be gone on with (`isAbandoned`).
   */
  claim(
    record: Pick<IdempotencyRecord, 'key' | 'fingerprint' | 'createdAt'> & Partial<Pick<IdempotencyRecord, 'body'>>,
  ): Promise<IdempotencyRecord | null>;
  complete(key: string, response: { readonly status: number; readonly body: string }): Promise<void>;
  /** Frees a claimed key after a failure that may be tried again. */
  release(key: string): Promise<void>;
  /** The key is claimed anew, `running`, unless its body has changed since it was read. False: it has. Atomic. */
  passOn(
    key: string,
    change: { readonly from: string; readonly to: { readonly body: string; readonly createdAt: number } },
  ): Promise<boolean>;
}

export interface SystemStore {
  findApiKey(secretHash: string): Promise<ApiKey | null>;
  /** Sets `last_used_at`; losing one is harmless. */
  touchApiKeys(ids: readonly string[], now: number): Promise<void>;
  readonly jobs: JobClaims;
  readonly workers: WorkerRegistry;
  readonly leases: LeaseRegistry;
  readonly usage: UsageLedgerStore;
  /** Settings of the installation (admin key hash, first-start marks). */
  getSetting(name: string): Promise<string | null>;
  setSetting(name: string, value: string): Promise<void>;
  /** Unseen documents, by source, of sources that failed and have not changed since that time. */
  findUnfinished(
    before: number,
  ): Promise<readonly { readonly tenantId: string; readonly botId: string; readonly documentIds: readonly string[] }[]>;
  /** Web sources whose time to be fetched again has come, the longest overdue first. */
  findDueSyncs(
    now: number,
    limit: number,
  ): Promise<readonly { readonly tenantId: string; readonly botId: string; readonly sourceId: string }[]>;
  /** Every blob hash that some source still needs. */
  blobHashesInUse(): Promise<ReadonlySet<string>>;
  /** Vectors of one bot and index (`indexKey`), in batches of rows with searchable or building documents. */
  loadVectors(
    botId: string,
    generation: string,
    signal?: AbortSignal,
  ): AsyncIterable<readonly (ChunkVectors & { readonly documentId: string; readonly sourceId: string })[]>;
  /** Clears words of deleted content out of the lexical indexes of bots that lost content since then. Returns how many. */
  purgeLexicalIndexes(removedSince: number): Promise<number>;
  /** Removes sync runs that ended or expired before the given time. */
  purgeSyncRuns(endedBefore: number): Promise<number>;
  /** Removes idempotency records older than the given time and those left `running` by a dead process. */
  purgeIdempotency(olderThan: number): Promise<number>;
}

/**
 * The runner's side of jobs. A claim takes a due job (queued with `runAt` reached, or running with an expired lease)
 * under a new fencing token, and counts one attempt. Whose job: that of the tenant whose jobs have been given the least
 * time lately, and within the tenant of such a bot; who was idle comes first but has saved nothing up. Which of the bot's
 * jobs: the least of run time plus six seconds for each point of priority, so that age outweighs priority in the end.
 */
export interface JobClaims {
  claim(request: {
    readonly owner: string;
    readonly kinds: readonly string[];
    readonly now: number;
    readonly leaseMs: number;
    /** Only jobs whose priority is not above this number; null: any. */
    readonly maxPriority: number | null;
  }): Promise<Job | null>;
  /** Extends the lease. Null when it was lost; else the job as it is now (to see `cancelRequested`). */
  heartbeat(lease: JobLease, times: { readonly now: number; readonly expiresAt: number }): Promise<Job | null>;
  /**
   * Records progress under the lease; false when it was lost. A `done` above the recorded one sets `attempts` to 1:
   * attempts count runs that got nowhere, so that interruptions of a long stage do not use them up.
   */
  progress(lease: JobLease, progress: Job['progress'], now: number): Promise<boolean>;
  /** Ends one run of a stage. Gives the job as it is then; null when the lease was lost. */
  release(lease: JobLease, outcome: JobOutcome, now: number): Promise<Job | null>;
  /** Ids of jobs that are queued and due, or running with an expired lease, in no order. */
  findClaimable(now: number, limit: number): Promise<readonly string[]>;
  /** Jobs past their deadline that have not ended; the caller fails them. */
  findOverdue(now: number, limit: number): Promise<readonly Job[]>;
  /** Ends an unfinished job from outside its lease (deadline), which is lost by that. False when it had ended. */
  fail(jobId: string, error: Failure, now: number): Promise<boolean>;
  /** What waits, for those who watch. */
  countQueued(now: number): Promise<readonly QueuedJobs[]>;
  /** Forgets queues that are empty. To be called now and then. */
  tidyQueues(): Promise<void>;
  /** Removes jobs that ended before that time, unless a source names them as its last. Returns how many, at most `limit`. */
  removeEnded(before: { readonly succeeded: number; readonly failed: number }, limit: number): Promise<number>;
  /** Jobs that ended as failed or cancelled and are not yet marked settled, oldest first. */
  findUnsettled(kinds: readonly string[], limit: number): Promise<readonly Job[]>;
  /**
   * Marks a failed or cancelled job as settled: its handler has been told. False when it was already, or is not in such
   * a state. A retried job is unsettled again.
   */
  settle(jobId: string): Promise<boolean>;
  /**
   * Lets every lease end now. Only for a database that one process owns, at its start: whoever held them is dead.
   * Returns how many there were.
   */
  expireAllLeases(now: number): Promise<number>;
}

/** What became of one run of a stage. */
export type JobOutcome =
  /** Queued again at once, with progress 0 of 0, no attempts and no error. */
  | { readonly type: 'next-stage'; readonly stage: string; readonly priority: number }
  /** With the progress to record last, if it was not recorded before. */
  | { readonly type: 'succeeded'; readonly progress?: Job['progress'] }
  | { readonly type: 'failed'; readonly error: Failure }
  | { readonly type: 'cancelled' }
  | { readonly type: 'retry'; readonly error: Failure; readonly runAt: number }
  /** Given back unfinished because the process stops: queued again at once, the attempt does not count. */
  | { readonly type: 'handed-back' }
  /** Got on and lets others in: queued again behind them, with its progress, no attempts and no error. */
  | { readonly type: 'yielded'; readonly resume?: JsonObject };
