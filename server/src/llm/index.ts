export type {
  ChatMessage,
  ChatModel,
  ChatModelEvent,
  ChatModelRequest,
  FinishReason,
  Passage,
  TokenCounter,
  TokenUsage,
} from './ports.ts';
export { createTokenCounter } from './token-counter.ts';
export { contentTerms, plainText, questionTerms, type Statement, splitStatements } from './passage-text/index.ts';
