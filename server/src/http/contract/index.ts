export {
  type NewApiKeyBody,
  newApiKey,
  type WireApiKey,
  type WireNewApiKey,
  wireApiKey,
  wireNewApiKey,
} from './api-keys.ts';
export type { WireBotModel } from './bot-models.ts';
export { type BotChangesBody, botChanges, type NewBotBody, newBot, type WireBot, wireBot } from './bots.ts';
export { exportQuery, importQuery, wireImportedBot } from './bundles.ts';
export {
  type AnswerExtras,
  type ChatCompletion,
  type ChatCompletionBody,
  type ChatCompletionChunk,
  chatCompletion,
  chatCompletionBody,
  chatCompletionChunk,
  type WireToolCall,
  type WireUsage,
} from './chat-completions.ts';
export type { WireChatMessage } from './chat-messages.ts';
export type { WireChunkingStrategy } from './chunking.ts';
export {
  conversationQuery,
  type WireCitation,
  type WireConversation,
  type WireMessage,
  wireConversation,
  wireMessage,
} from './conversations.ts';
export {
  chunkQuery,
  type WireChunk,
  type WireDocument,
  type WireDocumentWithText,
  wireChunk,
  wireDocument,
  wireDocumentWithText,
} from './documents.ts';
export { type WireDuplicateGroup, wireDuplicateGroup } from './duplicates.ts';
export { embeddingsBody, wireEmbeddings } from './embeddings.ts';
export { type ERROR_TYPES, type WireError, wireError } from './errors.ts';
export {
  type NewGenerationBody,
  type NewGoldenQuestionBody,
  newGeneration,
  newGoldenQuestion,
  type WireGeneration,
  type WireGoldenQuestion,
  wireGeneration,
  wireGoldenQuestion,
} from './generations.ts';
export { wireHealth, wireReady } from './health.ts';
export {
  jobQuery,
  retryJobsBody,
  type WireJob,
  type WireWorkers,
  wireJob,
  wireRetriedJobs,
  wireWorkers,
} from './jobs.ts';
export { type MessageStreamQuery, messageStop, messageStreamQuery, wireStoppedMessage } from './message-streams.ts';
export { type WireModel, wireModel, wireModels } from './models.ts';
export { botObjectParams, botParams, deleted, idParams, type ListQuery, listOf, listQuery } from './pages.ts';
export {
  type PromptChange,
  type PromptPreviewBody,
  promptPreviewBody,
  type WirePromptPreview,
  type WirePromptVersion,
  wirePromptPreview,
  wirePromptVersion,
} from './prompts.ts';
export { deletedContent } from './removals.ts';
export { type SearchBody, searchBody, type WireFilter, type WireSearchHit, wireSearchResults } from './search.ts';
export {
  byKeyParams,
  type KeyedSourceBody,
  keyedSource,
  keyedUploadFields,
  type NewSourceBody,
  newSource,
  type UploadFields,
  uploadFields,
  uploadForm,
  type WireSource,
  wireSource,
} from './sources.ts';
export {
  type NewSyncRunBody,
  newSyncRun,
  type SyncCommitBody,
  syncCommit,
  syncUploadFields,
  syncUploadForm,
  type WireSyncRun,
  type WireSyncUpload,
  wireSyncRun,
  wireSyncUpload,
} from './sync-runs.ts';
export { tenantBody, type WireTenant, wireTenant } from './tenants.ts';
export { type UIChatBody, uiChatBody, uiChatParams, uiMessageChunk } from './ui-messages.ts';
export {
  type UsageQueryString,
  usageCallsQuery,
  usageQuery,
  type WirePrice,
  type WireUsageCall,
  type WireUsageGroup,
  type WireUsageReport,
  wirePrices,
  wireUsage,
  wireUsageCall,
} from './usage.ts';
