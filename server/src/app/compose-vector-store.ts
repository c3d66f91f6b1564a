import { createEmbeddedVectorStore } from '../adapters/embedded-vectors/index.ts';
import type { LangChain } from '../adapters/langchain/index.ts';
import type { Logger } from '../kernel/index.ts';
import type { Store } from '../store/index.ts';
import type { VectorStore } from '../vector-store/index.ts';
import type { Config } from './config.ts';

const VECTOR_MEMORY_BYTES = 256 * 1024 ** 2;
/** LangChain's memory store holds numbers of eight bytes: some 500 MB at 256 dimensions. */
const MOST_LANGCHAIN_VECTORS = 250_000;

/** The index of vectors that the configuration names. It is derived: what it holds comes from the database. */
export function composeVectorStore(parts: {
  readonly config: Config;
  readonly langChain: LangChain;
  readonly sqlite: { readonly store: Store };
  readonly logger: Logger;
}): VectorStore {
  const { store } = parts.sqlite;
  if (parts.config.vectorStore === 'langchain') {
    return parts.langChain.createVectorStore({
      loadNamespace: ({ botId, generation }, signal) => store.system.loadVectors(botId, generation, signal),
      readVectors: ({ tenantId, botId, generation }, chunkIds) =>
        store.forTenant(tenantId).chunks.vectorsOf(botId, generation, chunkIds),
      maxVectors: MOST_LANGCHAIN_VECTORS,
    });
  }
  return createEmbeddedVectorStore({
    loadNamespace: ({ botId, generation }, signal) => store.system.loadVectors(botId, generation, signal),
    memoryCapBytes: VECTOR_MEMORY_BYTES,
    logger: parts.logger,
  });
}
