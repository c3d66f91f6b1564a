export type { EmbedTexts } from './answer-question.ts';
export {
  createExtractiveChatModel,
  EXTRACTIVE_MODEL_ID,
  type ExtractiveChatModelOptions,
  NEEDS_CHAT_MODEL_MESSAGE,
} from './extractive-chat-model.ts';
