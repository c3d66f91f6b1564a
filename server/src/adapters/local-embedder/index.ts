export { createStaticEmbedder, type StaticEmbedderOptions } from './static-embedder.ts';
export { createUseLiteEmbedder, type UseLiteEmbedderOptions } from './use-lite-embedder.ts';
export { createUseLiteModel, type UseLiteModel, type UseLiteModelOptions } from './use-lite-model.ts';
