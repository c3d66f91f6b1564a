export {
  createFakeChatModel,
  type FakeCall,
  type FakeChatModel,
  type FakeChatModelOptions,
  type FakeReply,
  type FakeStep,
} from './fake-chat-model.ts';
export { createFakeJobStore, type FakeJobStore } from './fake-job-claims.ts';
