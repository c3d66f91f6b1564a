export {
  type ConversationMemory,
  type ConversationMemoryOptions,
  createConversationMemory,
  type MemoryRepositories,
  type Recollection,
} from './conversation-memory.ts';
export { createExtractiveSummarizer, createModelSummarizer, type Summarizer } from './summaries.ts';
