export { type ChatSphereChatCallOptions, ChatSphereChatModel, type ChatSphereChatModelFields } from './chat-model.ts';
export { ChatSphereError } from './connection.ts';
export { type ChatSphereDocumentMetadata, ChatSphereRetriever, type ChatSphereRetrieverFields } from './retriever.ts';
