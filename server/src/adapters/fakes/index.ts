export { createExactVectorStore } from './exact-vector-store.ts';
export {
  createFakeChatModel,
  type FakeCall,
  type FakeChatModel,
  type FakeChatModelOptions,
  type FakeReply,
  type FakeStep,
} from './fake-chat-model.ts';
export {
  createFakeEmbedder,
  type FakeEmbedder,
  type FakeEmbedderCall,
  type FakeEmbedderOptions,
} from './fake-embedder.ts';
export { createFakeJobStore, type FakeJobStore } from './fake-job-claims.ts';
