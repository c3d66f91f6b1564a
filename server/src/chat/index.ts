export { createToolCallCollector, type ToolCall } from '../llm/index.ts';
export { createSearcher } from './context/index.ts';
export { createUsageLedger, type NewUsage, type UsageLedger } from './ledger/index.ts';
export type {
  AnswerEvent,
  Answerer,
  AnswerRequest,
  CacheState,
  EmbeddingUse,
  Searcher,
  SearchHit,
  SearchRequest,
  SearchResult,
  SearchSpace,
  SearchSpaces,
} from './ports.ts';
export { checkPrompt, templateOf } from './prompt/index.ts';
export {
  type AnswerCacheOptions,
  type AnswererOptions,
  type AnsweringModel,
  createAnswerer,
  createPromptPreviewer,
  type PromptPreview,
  type PromptPreviewer,
  type TrackedAnswerer,
} from './response/index.ts';
export {
  type AnswerOrder,
  type AnswerStream,
  type AnswerStreams,
  createAnswerStreams,
  createMemoryStreamBuffer,
  createStoredStream,
  isStreamUnavailable,
  type KeptStream,
  type StreamAbout,
  type StreamBuffer,
  type StreamEnding,
  type StreamMaking,
  type StreamName,
  streamUnavailable,
  type TakenUp,
} from './streams/index.ts';
