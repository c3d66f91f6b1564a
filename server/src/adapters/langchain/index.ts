import { workerModule } from '../../resilience/index.ts';

export { type LangChain, loadLangChain } from './langchain.ts';
export {
  LANGCHAIN_PROVIDER,
  type LangChainChatModelPart,
  type LangChainEmbeddingsPart,
  type LangChainPart,
  type LangChainSettings,
} from './settings.ts';
export { loadTextSplitter, requireTextSplitter } from './text-splitter.ts';

/** Where parse workers find `loadTextSplitter`: they load it by themselves, and only when a strategy asks for it. */
export const TEXT_SPLITTER_MODULE = workerModule(import.meta.url, './text-splitter').href;
