import { createHash } from 'node:crypto';
import type { Config } from './config.ts';

/** The settings of the server that what it answers may depend on. */
export type AnswerSettings = Pick<
  Config,
  | 'chatModel'
  | 'chatModelFallbacks'
  | 'chatModelCheaper'
  | 'providers'
  | 'langChain'
  | 'embeddingModel'
  | 'embeddingFollower'
  | 'embeddingDimensions'
  | 'vectorStore'
>;

/**
 * A hash of them: servers that share a cache and are set up otherwise do not give each other's answers. Keys of providers
 * have no part in it: another key is asked for the same.
 */
export function answerSettingsHash(config: AnswerSettings): string {
  const { chatModel, chatModelFallbacks, chatModelCheaper, embeddingModel, embeddingFollower } = config;
  const { chatModels, embeddings, vectorStore } = config.langChain;
  const settings = [
    [chatModel, chatModelFallbacks, chatModelCheaper].flat().map(({ provider, model }) => [provider, model]),
    [chatModelFallbacks.length, chatModelCheaper.length],
    byName(config.providers).map(({ name, kind, baseUrl, apiVersion }) => [name, kind, baseUrl, apiVersion]),
    [[...chatModels].sort(), [...embeddings].sort(), vectorStore],
    [embeddingModel, embeddingFollower, config.embeddingDimensions, config.vectorStore],
  ];
  return createHash('sha256').update(JSON.stringify(settings)).digest('base64url');
}

function byName(providers: Config['providers']) {
  return [...providers.values()].sort((one, other) => (one.name < other.name ? -1 : 1));
}
