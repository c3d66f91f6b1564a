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
