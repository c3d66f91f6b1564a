export {
  type BundleExporter,
  type BundleExporterOptions,
  createBundleExporter,
  type VectorSpace,
} from './bundle/bundle-export.ts';
export {
  type BundleImporter,
  type BundleImporterOptions,
  createBundleImporter,
  type Imported,
} from './bundle/bundle-import.ts';
export { createUnfinishedImports, type UnfinishedImports } from './bundle/unfinished-imports.ts';
export {
  createDuplicateFinder,
  type DuplicateDocuments,
  type DuplicateFinder,
} from './duplicates/duplicate-finder.ts';
export { createFollower, type Follower, type FollowerOptions } from './following/follower.ts';
export { createTrainingActivity, type TrainingActivity } from './following/training-activity.ts';
export { type BotIndexesOptions, createBotIndexes } from './generations/bot-indexes.ts';
export { createGenerationHandler, type GenerationHandlerOptions } from './generations/generation-handler.ts';
export { createGenerationKeeper, type GenerationKeeperOptions } from './generations/generation-keeper.ts';
export { createGenerations, type GenerationsOptions } from './generations/generations.ts';
export type {
  BotIndex,
  BotIndexes,
  ComparedPassage,
  GenerationRequest,
  Generations,
  SearchIndex,
} from './generations/ports.ts';
export {
  createDocumentParser,
  type DocumentParserOptions,
  type ParseLimits,
  type SplitterExports,
} from './loaders/document-parser.ts';
export type { Rechunk } from './pipeline/chunk-sets.ts';
export { createTrainAgain } from './pipeline/train-again.ts';
export { createTrainer, type TrainerLimits, type TrainerOptions } from './pipeline/trainer.ts';
export { createTrainingHandler, type TrainingHandlerOptions } from './pipeline/training-handler.ts';
export type {
  DocumentParser,
  ParsedChunk,
  ParsedDocument,
  ParserInput,
  QuestionAndAnswer,
  SourceContent,
  SourceOptions,
  TextSplitter,
  TextSplitterLoader,
  Trainer,
  UploadedFile,
  Upsert,
  WebContent,
} from './ports.ts';
export { createRemovedSources, type RemovedSources, withoutRemovedSources } from './sync/removed-sources.ts';
export type { ManifestEntry } from './sync/sync-plan.ts';
export {
  createSyncRuns,
  type SyncCounts,
  type SyncRequest,
  type SyncRunState,
  type SyncRuns,
  type SyncRunsOptions,
  type SyncRunWithPlan,
} from './sync/sync-runs.ts';
export type { UploadOutcome } from './sync/sync-upload.ts';
export type { FetchingParts } from './web/page-visit.ts';
export { CRAWLER_NAME } from './web/robots-rules.ts';
export { createSyncSchedule, type SyncScheduleOptions } from './web/sync-schedule.ts';
export type { WebAnswer, WebClient, WebRequest } from './web/web-client.ts';
export { createWebParts, type WebPartsOptions } from './web/web-parts.ts';
