export type { BlobReference, BlobStore } from './blob-store-ports.ts';
export { findBlobsInUse } from './blobs-in-use.ts';
export { createStore, type StoreOptions } from './create-store.ts';
export type { DocumentStructure } from './document-structure.ts';
export type { EmbeddableChunk } from './embeddable-chunk.ts';
export {
  type AddedDocument,
  API_KEY_SCOPES,
  type ApiKey,
  type ApiKeyScope,
  type Bot,
  type BotModel,
  type BotSettings,
  type Chunk,
  type ChunkingStrategy,
  type ChunkVectors,
  type Citation,
  type Conversation,
  type Document,
  type DocumentState,
  type Failure,
  type IdempotencyRecord,
  type Job,
  type JobState,
  type Message,
  type NewChunk,
  type NewDocument,
  type PromptSetting,
  type QueuedJobs,
  type RetrievalSettings,
  type Source,
  type SourceCounts,
  type SourceInput,
  type SourceStatus,
  type SourceType,
  type Tenant,
  type TrainingStage,
  type Worker,
} from './entities.ts';
export type {
  ActivationPolicy,
  Generation,
  GenerationComparison,
  GenerationState,
  GoldenExpectation,
  GoldenQuestion,
} from './generation-entities.ts';
export type { GenerationRepository, GoldenQuestionRepository } from './generation-ports.ts';
export { idempotencyInProgress, idempotencyKeyReused } from './idempotency-errors.ts';
export { FIRST_CHUNK_SET, type IndexParts, indexKey, indexParts } from './index-key.ts';
export { type LeaseRegistry, LIVES } from './lease-ports.ts';
export { everyItem, everyPage } from './page.ts';
export type {
  ApiKeyRepository,
  BotRepository,
  ChunkRepository,
  ConversationRepository,
  DocumentRepository,
  FoundChunk,
  IdempotencyRepository,
  JobClaims,
  JobFilter,
  JobLease,
  JobOutcome,
  JobRepository,
  KeyedSource,
  MessageRepository,
  MetadataFilter,
  Page,
  PageRequest,
  SourceRepository,
  Store,
  SystemStore,
  TenantRepositories,
  TenantRepository,
  TenantStore,
} from './ports.ts';
export type { PromptVersion, PromptVersionRepository } from './prompt-ports.ts';
export type { Schema } from './schema.ts';
export type { PageCopy, SourcePage, SourcePageRepository } from './source-page-ports.ts';
export type { BotKey, MetadataComparison, SqlDialect } from './sql-dialect.ts';
export type { Fingerprint, RemovalReceipt, RemovedContent, SyncItem, SyncItemState, SyncRun } from './sync-entities.ts';
export type { SyncRunRepository } from './sync-ports.ts';
export {
  type BackupHeader,
  type BackupManifest,
  type Copied,
  type CopyOptions,
  type CopyRefusal,
  type CopyRun,
  copyDatabase,
  createRowSource,
  type FindOwnRows,
  forgetCopy,
  type HeldFiles,
  planCopy,
  type ReadBackup,
  type RowSource,
  readBackupHeader,
  refuseUnfinishedCopy,
  restoreBackup,
  restoreIntoDatabase,
  type TransferConnection,
  type TransferEngine,
  type TransferProgress,
  undoCopy,
  verifyBackup,
  type WrittenBackup,
  writeBackup,
} from './transfer/index.ts';
export type {
  FrozenPrice,
  UsageDimension,
  UsageFilter,
  UsageGroup,
  UsageGroupKey,
  UsageQuery,
  UsageRow,
  UsageSummary,
  UsageTotals,
} from './usage-entities.ts';
export type { UsageLedgerStore, UsageRepository } from './usage-ports.ts';
export { unpackWindows } from './vector-columns.ts';
export type { WebSource } from './web-source.ts';
export { createWordVectors, type WordVectors } from './word-vectors.ts';
export type { WorkerRegistry } from './worker-ports.ts';
export { createWriteRecorder, type WriteRecorder, type WriteWatch } from './write-watch.ts';
