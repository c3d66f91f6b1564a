import { createAnthropicChatModel } from '../adapters/anthropic/index.ts';
import { createOpenAiChatModel, createOpenAiEmbedder } from '../adapters/openai/index.ts';
import type { Embedder } from '../embeddings/index.ts';
import { AppError, type Lifecycle } from '../kernel/index.ts';
import type { ChatModel, ProviderHttp } from '../llm/index.ts';
import type { Config } from './config.ts';
import type { ProviderSettings } from './provider-settings.ts';

/** A model at a provider, asked for with one of its keys. */
export interface ProviderModelName {
  /** As in the configuration: `openai`, `anthropic`, or a name of the operator's. */
  readonly provider: string;
  /** As the provider spells it. */
  readonly model: string;
  /** Null for servers that take calls without one. */
  readonly apiKey: string | null;
}

/** Makes the clients of the providers that the configuration names, over one set of connections. */
export interface Providers extends Lifecycle {
  /** By name, also what was found at start. */
  readonly settings: ReadonlyMap<string, ProviderSettings>;
  /** Throws `model_not_found` when the provider is not configured. */
  createProviderModel(name: ProviderModelName): ChatModel;
  /** An embedder at a provider. Throws `model_not_found` when it is not configured or has no embeddings. */
  createProviderEmbedder(name: { readonly provider: string; readonly model: string }): Embedder;
}

export function createProviders({
  config,
  http,
}: {
  readonly config: Pick<Config, 'providers'>;
  readonly http: ProviderHttp;
}): Providers {
  const settings = config.providers;

  return {
    name: 'providers',
    settings,
    createProviderModel({ provider, model, apiKey }) {
      const found = settings.get(provider);
      if (found === undefined) throw notConfigured(`model "${provider}/${model}"`, 'model');
      const { baseUrl } = found;
      if (found.kind === 'anthropic') return createAnthropicChatModel({ http, baseUrl, apiKey, provider, model });
      return createOpenAiChatModel({ ...connectionOf(found, http), apiKey, provider, model });
    },
    createProviderEmbedder({ provider, model }) {
      const found = settings.get(provider);
      if (found === undefined || found.kind === 'anthropic') {
        throw notConfigured(`embedder "${provider}/${model}"`, 'embedding_model');
      }
      const apiKey = found.apiKeys[0] ?? null;
      return createOpenAiEmbedder({ ...connectionOf(found, http), apiKey, provider, model });
    },
    start: async () => {},
    stop: () => http.stop(),
  };
}

/** Ollama has OpenAI's protocol below `/v1`. */
function connectionOf({ kind, baseUrl, apiVersion }: ProviderSettings, http: ProviderHttp) {
  return {
    http,
    baseUrl: kind === 'ollama' ? `${baseUrl}/v1` : baseUrl,
    ...(apiVersion === null ? {} : { azureApiVersion: apiVersion }),
  };
}

function notConfigured(what: string, param: string): AppError {
  return new AppError(
    'model_not_found',
    `The ${what} is not configured on this server. Choose another one, or set the key of its provider.`,
    { param },
  );
}
