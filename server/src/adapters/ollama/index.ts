export { findOllamaModels, type OllamaAddress } from './find-models.ts';
