import type { Environment } from './environment.ts';
import { type ProviderSettings, unknownProvider } from './provider-settings.ts';

export interface ModelName {
  readonly provider: string;
  readonly model: string;
}

const LANGCHAIN = 'langchain';
const LOCAL_EMBEDDERS = ['static-en', 'use-lite'];
const EXTRACTIVE: ModelName = { provider: 'chatsphere', model: 'extractive' };

/** What answers at a provider when CHAT_MODEL is not set, in the order in which providers are preferred. */
const DEFAULT_MODELS: readonly ModelName[] = [
  { provider: 'openai', model: 'gpt-4o-mini' },
  { provider: 'anthropic', model: 'claude-haiku-4-5' },
  { provider: 'openrouter', model: 'openai/gpt-4o-mini' },
];

type Providers = ReadonlyMap<string, ProviderSettings>;

/** `none`: no packages at all. */
export function namesIn(list: string): readonly string[] {
  const names = list.split(',').map((name) => name.trim());
  return names.filter((name) => name !== '' && name !== 'none');
}

export function namedModels(list: string | undefined, providers: Providers): readonly ModelName[] {
  return namesIn(list ?? '').map((name) => parseModelName(name, providers));
}

function listFaults(setting: 'CHAT_MODEL_FALLBACKS' | 'CHAT_MODEL_CHEAPER', given: Environment, providers: Providers) {
  return namedModels(given[setting], providers).flatMap(({ provider, model }) => {
    if (model === '' || (provider === 'chatsphere' && model !== 'extractive')) {
      return [`${setting} names the unknown model "${provider}/${model}"`];
    }
    const isKnown = ['chatsphere', LANGCHAIN].includes(provider) || providers.has(provider);
    return isKnown ? [] : [`${setting} ${unknownProvider(provider)}`];
  });
}

export function modelFaults(environment: Environment, providers: Providers): string[] {
  const chat = chatModelOf(environment, providers);
  const embedding = embeddingModelOf(environment, providers);
  const faults = [
    ...listFaults('CHAT_MODEL_FALLBACKS', environment, providers),
    ...listFaults('CHAT_MODEL_CHEAPER', environment, providers),
  ];
  if (!['chatsphere', LANGCHAIN].includes(chat.provider) && !providers.has(chat.provider)) {
    faults.push(`CHAT_MODEL ${unknownProvider(chat.provider)}, or use chatsphere/extractive`);
  } else if (chat.provider === 'chatsphere' && chat.model !== 'extractive') {
    faults.push('CHAT_MODEL: the only built-in model is chatsphere/extractive');
  }
  if (!['local', LANGCHAIN].includes(embedding.provider) && !providers.has(embedding.provider)) {
    faults.push(`EMBEDDING_MODEL ${unknownProvider(embedding.provider)}, or use local/static-en or local/use-lite`);
  } else if (providers.get(embedding.provider)?.kind === 'anthropic') {
    faults.push(`EMBEDDING_MODEL: ${embedding.provider} has no embeddings; use local/static-en or another provider`);
  } else if (embedding.provider === 'local' && !LOCAL_EMBEDDERS.includes(embedding.model)) {
    faults.push(
      `EMBEDDING_MODEL: the local embedders are ${LOCAL_EMBEDDERS.map((name) => `local/${name}`).join(' and ')}`,
    );
  }
  if (environment.EMBEDDING_FOLLOWER === 'local/use-lite' && !canBeFollowed(embedding)) {
    faults.push('EMBEDDING_FOLLOWER follows local/static-en only; leave it out with another EMBEDDING_MODEL');
  }
  return faults;
}

/** Without a key or address of a provider, the extractive answerer is the model. */
export function chatModelOf(environment: Environment, providers: Providers): ModelName {
  if (environment.CHAT_MODEL !== undefined) return parseModelName(environment.CHAT_MODEL, providers);
  return DEFAULT_MODELS.find(({ provider }) => providers.has(provider)) ?? EXTRACTIVE;
}

/** An Ollama is asked what it has when nothing else was chosen and it was named, or nobody else was. */
export function findsOllama(environment: Environment, providers: Providers): boolean {
  if (environment.CHAT_MODEL !== undefined || chatModelOf(environment, providers) !== EXTRACTIVE) return false;
  return providers.has('ollama') || providers.size === 0;
}

/** Providers are there whose models nobody can guess. */
export function chatModelWarnings(environment: Environment, providers: Providers): readonly string[] {
  if (environment.CHAT_MODEL !== undefined || providers.size === 0 || providers.has('ollama')) return [];
  if (chatModelOf(environment, providers) !== EXTRACTIVE) return [];
  return ['No model was chosen: set CHAT_MODEL to <provider>/<model>. Until then answers are quotes.'];
}

export function embeddingModelOf(environment: Environment, providers: Providers): ModelName {
  if (environment.EMBEDDING_MODEL !== undefined) return parseModelName(environment.EMBEDDING_MODEL, providers);
  return (providers.get('openai')?.apiKeys ?? []).length === 0
    ? { provider: 'local', model: 'static-en' }
    : { provider: 'openai', model: 'text-embedding-3-small' };
}

/** The word table answers at once; the model that it was made from knows sentences, and comes behind it. */
export function followerOf(environment: Environment, providers: Providers): ModelName | null {
  const isWanted = environment.EMBEDDING_FOLLOWER !== 'off' && canBeFollowed(embeddingModelOf(environment, providers));
  return isWanted ? { provider: 'local', model: 'use-lite' } : null;
}

function canBeFollowed({ provider, model }: ModelName): boolean {
  return provider === 'local' && model === 'static-en';
}

/** A name without a provider belongs to OpenAI, or to the only provider that there is. */
function parseModelName(text: string, providers: Providers): ModelName {
  const slash = text.indexOf('/');
  const [only] = providers.size === 1 ? [...providers.keys()] : [];
  return slash < 0
    ? { provider: only ?? 'openai', model: text }
    : { provider: text.slice(0, slash), model: text.slice(slash + 1) };
}
