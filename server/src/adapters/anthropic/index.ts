export { type AnthropicChatModelOptions, createAnthropicChatModel } from './chat-model.ts';
