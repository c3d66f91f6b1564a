export { createEmbeddingGenerator, type EmbeddingGeneratorOptions } from './generator.ts';
export type {
  Embedder,
  EmbedderProfile,
  EmbeddingGenerator,
  EmbeddingPurpose,
  EmbeddingResult,
  WordVectorCache,
} from './ports.ts';
export { dot, dotQuantised, normalise, type QuantisedVector, quantise } from './quantise.ts';
export { type WindowSource, windowsOf } from './windows.ts';
