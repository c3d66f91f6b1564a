/** How a provider is spoken to. */
export type ProviderKind = 'openai' | 'azure' | 'anthropic' | 'ollama';

/** One provider of models, as the environment names it. */
export interface ProviderSettings {
  /** First part of the ids of its models. */
  readonly name: string;
  readonly kind: ProviderKind;
  /** Without a slash at the end. */
  readonly baseUrl: string;
  /** Empty: it takes calls without one. */
  readonly apiKeys: readonly string[];
  /** For Azure. */
  readonly apiVersion: string | null;
}

export interface ReadProviders {
  /** By name. */
  readonly providers: ReadonlyMap<string, ProviderSettings>;
  readonly faults: readonly string[];
}

interface Variables {
  readonly kind: ProviderKind;
  readonly baseUrl: string;
  readonly apiKey: string;
  readonly apiVersion?: string;
  /** Where the API is when nothing else is said; none: it must be said. */
  readonly defaultBaseUrl?: string;
}

const AZURE_API_VERSION = '2024-10-21';

const KNOWN: Readonly<Record<string, Variables>> = {
  openai: {
    kind: 'openai',
    baseUrl: 'OPENAI_BASE_URL',
    apiKey: 'OPENAI_API_KEY',
    defaultBaseUrl: 'https://api.openai.com/v1',
  },
  anthropic: {
    kind: 'anthropic',
    baseUrl: 'ANTHROPIC_BASE_URL',
    apiKey: 'ANTHROPIC_API_KEY',
    defaultBaseUrl: 'https://api.anthropic.com',
  },
  azure: {
    kind: 'azure',
    baseUrl: 'AZURE_OPENAI_ENDPOINT',
    apiKey: 'AZURE_OPENAI_API_KEY',
    apiVersion: 'AZURE_OPENAI_API_VERSION',
  },
  openrouter: {
    kind: 'openai',
    baseUrl: 'OPENROUTER_BASE_URL',
    apiKey: 'OPENROUTER_API_KEY',
    defaultBaseUrl: 'https://openrouter.ai/api/v1',
  },
  ollama: { kind: 'ollama', baseUrl: 'OLLAMA_BASE_URL', apiKey: 'OLLAMA_API_KEY' },
};

/** Names that mean something else. */
const TAKEN = ['chatsphere', 'local', 'langchain', 'fake'];
const KINDS: readonly string[] = ['openai', 'azure', 'anthropic', 'ollama'] satisfies ProviderKind[];
const NAMED = /^PROVIDER_([A-Z0-9]+(?:_[A-Z0-9]+)*?)_(?:BASE_URL|API_KEY|API_VERSION|KIND)$/;

/** What to set for a provider that is known by name; null when it is not. */
export function settingsOf(name: string): string | null {
  const known = Object.hasOwn(KNOWN, name) ? KNOWN[name] : undefined;
  if (known === undefined) return null;
  if (name === 'openai') return 'OPENAI_API_KEY (or OPENAI_BASE_URL for a server that needs no key)';
  return known.kind === 'ollama' ? known.baseUrl : known.apiKey;
}

/** `OLLAMA_BASE_URL=off`: no Ollama, and none is looked for. */
export function isOllamaOff(given: Readonly<Record<string, string | undefined>>): boolean {
  return given['OLLAMA_BASE_URL']?.trim().toLowerCase() === 'off';
}

/**
 * Reads who can be asked for models: the providers that are known by name, and any other as `PROVIDER_<NAME>_BASE_URL` with
 * `_API_KEY`, `_KIND` and `_API_VERSION`. Keys are comma lists. Faults name variables, never their values.
 */
export function readProviders(given: Readonly<Record<string, string | undefined>>): ReadProviders {
  const providers = new Map<string, ProviderSettings>();
  const faults: string[] = [];
  for (const [name, variables] of [...Object.entries(KNOWN), ...namedProviders(given, faults)]) {
    if (name === 'ollama' && isOllamaOff(given)) continue;
    const settings = readProvider(name, variables, { given, faults });
    if (settings !== null) providers.set(name, settings);
  }
  return { providers, faults };
}

/** The providers of `PROVIDER_<NAME>_...`. */
function namedProviders(given: Readonly<Record<string, string | undefined>>, faults: string[]): [string, Variables][] {
  const prefixes = new Set(Object.keys(given).flatMap((variable) => NAMED.exec(variable)?.[1] ?? []));
  return [...prefixes].flatMap((prefix): [string, Variables][] => {
    const name = prefix.toLowerCase().replaceAll('_', '-');
    const kind = given[`PROVIDER_${prefix}_KIND`]?.trim() ?? 'openai';
    if (Object.hasOwn(KNOWN, name) || TAKEN.includes(name)) {
      faults.push(`PROVIDER_${prefix}_BASE_URL: the name "${name}" is taken; choose another`);
      return [];
    }
    if (!isKind(kind)) {
      faults.push(`PROVIDER_${prefix}_KIND must be one of ${KINDS.join(', ')}`);
      return [];
    }
    const of = (part: string): string => `PROVIDER_${prefix}_${part}`;
    return [[name, { kind, baseUrl: of('BASE_URL'), apiKey: of('API_KEY'), apiVersion: of('API_VERSION') }]];
  });
}

function isKind(kind: string): kind is ProviderKind {
  return KINDS.includes(kind);
}

interface Reading {
  readonly given: Readonly<Record<string, string | undefined>>;
  readonly faults: string[];
}

/** Null when nothing of it is set, or too little, which is a fault. */
function readProvider(name: string, variables: Variables, { given, faults }: Reading): ProviderSettings | null {
  const { kind, defaultBaseUrl } = variables;
  const apiKeys = keysIn(given[variables.apiKey]);
  const address = given[variables.baseUrl]?.trim();
  if (apiKeys.length === 0 && address === undefined) return null;
  if (apiKeys.some((key) => !/^[\x21-\x7e]+$/.test(key))) {
    faults.push(`${variables.apiKey} holds characters that no key has`);
  }
  const baseUrl = address ?? defaultBaseUrl;
  if (baseUrl === undefined) {
    faults.push(`${variables.baseUrl} must be set where ${variables.apiKey} is`);
    return null;
  }
  const fault = addressFault(baseUrl);
  if (fault !== null) faults.push(`${variables.baseUrl} ${fault}`);
  if (apiKeys.length === 0 && (kind === 'azure' || (kind === 'anthropic' && address === undefined))) {
    faults.push(`${variables.apiKey} must be set where ${variables.baseUrl} is`);
  }
  const version = variables.apiVersion === undefined ? undefined : given[variables.apiVersion];
  const root = baseUrl.replace(/\/+$/, '');
  return {
    name,
    kind,
    baseUrl: kind === 'ollama' || kind === 'anthropic' ? root.replace(/\/v1$/, '') : root,
    apiKeys,
    apiVersion: kind === 'azure' ? (version?.trim() ?? AZURE_API_VERSION) : null,
  };
}

function keysIn(list: string | undefined): readonly string[] {
  const keys = (list ?? '').split(',').map((key) => key.trim());
  return [...new Set(keys.filter((key) => key !== ''))];
}

function addressFault(address: string): string | null {
  const url = URL.canParse(address) ? new URL(address) : null;
  if (url === null || !['http:', 'https:'].includes(url.protocol)) return 'must be an http:// or https:// address';
  if (url.username !== '' || url.password !== '') return 'must not hold a user or a password';
  return url.search === '' && url.hash === '' ? null : 'must end with its path, without ? or #';
}

/** What to set for a provider that is not there. */
export function unknownProvider(name: string): string {
  const variables = settingsOf(name);
  return variables === null
    ? `names the unknown provider "${name}"; set PROVIDER_${name.toUpperCase().replace(/[^A-Z0-9]+/g, '_')}_BASE_URL`
    : `needs the provider "${name}"; set ${variables}`;
}
