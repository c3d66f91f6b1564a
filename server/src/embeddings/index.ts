export { spaceName, withDimensions } from './fixed-width.ts';
export { createEmbeddingGenerator, type EmbeddingGeneratorOptions } from './generator.ts';
export type {
  Embedder,
  EmbedderProfile,
  EmbeddingCall,
  EmbeddingGenerator,
  EmbeddingPurpose,
  EmbeddingResult,
  EmbeddingSpace,
  EmbeddingSpaces,
  WordVectorCache,
} from './ports.ts';
export { dot, normalise } from './unit-vectors.ts';
export { type WindowSource, windowsOf } from './windows.ts';
