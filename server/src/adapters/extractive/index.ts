export type { EmbedTexts } from './answer-question.ts';
export {
  createExtractiveChatModel,
  EXTRACTIVE_MODEL_ID,
  type ExtractiveChatModelOptions,
} from './extractive-chat-model.ts';
