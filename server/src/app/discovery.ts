import { findOllamaModels } from '../adapters/ollama/index.ts';
import type { ProviderHttp } from '../llm/index.ts';
import type { Config } from './config.ts';
import type { ProviderSettings } from './provider-settings.ts';

/** Where Ollama listens by itself. */
const OLLAMA_DEFAULT = 'http://127.0.0.1:11434';
/** The start waits no longer for a server that nobody spoke of, and longer for one that was named. */
const PROBE_MS = 300;
const NAMED_PROBE_MS = 3000;

/** The configuration with the Ollama that answers here as its chat model, where nothing else was chosen. */
export async function withDiscoveredModel(config: Config, http: ProviderHttp): Promise<Config> {
  if (!config.findsOllama) return config;
  const named = config.providers.get('ollama');
  const ollama = named ?? ollamaAt(OLLAMA_DEFAULT);
  const models = await findOllamaModels({
    http,
    baseUrl: ollama.baseUrl,
    apiKey: ollama.apiKeys[0] ?? null,
    withinMs: named === undefined ? PROBE_MS : NAMED_PROBE_MS,
  });
  const model = models?.[0];
  if (model === undefined) return named === undefined ? config : withWarning(config, models !== null);
  return {
    ...config,
    providers: new Map([...config.providers, [ollama.name, ollama]]),
    chatModel: { provider: ollama.name, model },
  };
}

function ollamaAt(baseUrl: string): ProviderSettings {
  return { name: 'ollama', kind: 'ollama', baseUrl, apiKeys: [], apiVersion: null };
}

function withWarning(config: Config, answers: boolean): Config {
  const reason = answers
    ? 'Ollama has no chat model installed (`ollama pull` gets one)'
    : 'Ollama does not answer at OLLAMA_BASE_URL';
  return { ...config, warnings: [...config.warnings, `${reason}: answers are quotes until CHAT_MODEL is set.`] };
}
