import { createEmbeddedVectorStore } from '../adapters/embedded-vectors/index.ts';
import type { LangChain } from '../adapters/langchain/index.ts';
import { createPineconeVectorStore } from '../adapters/pinecone/index.ts';
import type { EmbeddingSpaces } from '../embeddings/index.ts';
import type { Clock, Logger } from '../kernel/index.ts';
import { indexParts } from '../store/index.ts';
import type { VectorStore } from '../vector-store/index.ts';
import type { Config } from './config.ts';
import type { Database } from './open-database.ts';

const VECTOR_MEMORY_BYTES = 256 * 1024 ** 2;
/** LangChain's memory store holds numbers of eight bytes: some 500 MB at 256 dimensions. */
const MOST_LANGCHAIN_VECTORS = 250_000;

/** The index of vectors that the configuration names. It is derived: what it holds comes from the database. */
export function composeVectorStore(parts: {
  readonly config: Config;
  readonly langChain: LangChain;
  readonly database: Pick<Database, 'store' | 'openVectorStore'>;
  readonly embedders: Pick<EmbeddingSpaces, 'own'>;
  readonly clock: Clock;
  readonly logger: Logger;
}): VectorStore {
  const { store } = parts.database;
  const { pinecone } = parts.config;
  if (pinecone !== null) {
    const chunksOf = (tenantId: string) => store.forTenant(tenantId).chunks;
    return createPineconeVectorStore({
      settings: pinecone,
      dimensions: parts.embedders.own.profile.dimensions,
      dimensionsOf: widthIn,
      truth: {
        loadNamespace: ({ botId, generation }, signal) => store.system.loadVectors(botId, generation, signal),
        countVectors: ({ tenantId, botId, generation }) => chunksOf(tenantId).countVectors(botId, generation),
        readVectors: ({ tenantId, botId, generation }, chunkIds) =>
          chunksOf(tenantId).vectorsOf(botId, generation, chunkIds),
        readTexts: ({ tenantId, botId }, chunkIds) => chunksOf(tenantId).textsOf(botId, chunkIds),
      },
      clock: parts.clock,
      logger: parts.logger,
      random: Math.random,
    });
  }
  if (parts.config.vectorStore === 'pgvector' && parts.database.openVectorStore !== null) {
    return parts.database.openVectorStore();
  }
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

/** Of `embedder@version:dimensions`; null: it says none. */
function widthIn(generation: string): number | null {
  const width = Number(/:(\d+)$/.exec(indexParts(generation).space)?.[1]);
  return Number.isInteger(width) ? width : null;
}
