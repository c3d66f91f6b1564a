export type {
  Embedder,
  EmbedderProfile,
  EmbeddingGenerator,
  EmbeddingPurpose,
  EmbeddingResult,
  WordVectorCache,
} from './ports.ts';
