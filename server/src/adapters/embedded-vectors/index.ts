export {
  createEmbeddedVectorStore,
  type EmbeddedVectorStoreOptions,
  type StoredChunkVectors,
} from './embedded-vector-store.ts';
