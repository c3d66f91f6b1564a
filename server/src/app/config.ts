import { isAbsolute, resolve } from 'node:path';
import { z } from 'zod';
import type { LangChainSettings } from '../adapters/langchain/index.ts';
import type { PineconeSettings } from '../adapters/pinecone/index.ts';
import type { RedisSettings } from '../adapters/redis/index.ts';
import { AppError } from '../kernel/index.ts';
import type { HedgeAfter } from '../llm/index.ts';
import { type AnswerCacheSettings, answerCacheEnvironment, answerCacheSettingsOf } from './answer-cache-config.ts';
import { type BlobStoreKind, blobEnvironment, blobFaults, blobStoreOf } from './blob-config.ts';
import {
  type DatabaseSettings,
  databaseEnvironment,
  databaseFaults,
  databaseSettingsOf,
  databaseWarnings,
  type VectorStoreKind,
  vectorStoreOf,
} from './database-config.ts';
import { namesNotIn, readLangChainSettings } from './langchain-config.ts';
import { pineconeEnvironment, pineconeFaults, pineconeSettingsOf } from './pinecone-config.ts';
import { isOllamaOff, type ProviderSettings, readProviders, unknownProvider } from './provider-settings.ts';
import { type QueueSettings, queueEnvironment, queueFaults, queueSettingsOf } from './queue-config.ts';
import { redisEnvironment, redisSettingsOf } from './redis-config.ts';
import { type RoleSettings, roleEnvironment, roleSettingsOf } from './role-config.ts';

/** Everything the process is told from outside, read once and frozen. Durations in milliseconds, sizes in bytes. */
export interface Config extends RoleSettings, QueueSettings {
  readonly host: string;
  readonly port: number;
  readonly dataFolder: string;
  /** Null: made and printed at the first start. */
  readonly adminKey: string | null;
  /** Null: made in the data folder. */
  readonly secret: string | null;
  readonly chatModel: ModelName;
  /** Asked in this order when the chat model has failed. */
  readonly chatModelFallbacks: readonly ModelName[];
  /** Asked in this order when all of these have failed, too: worse answers at a lower price. */
  readonly chatModelCheaper: readonly ModelName[];
  readonly embeddingModel: ModelName;
  /** Makes further vectors behind the embedding model, in the background; null: none does. */
  readonly embeddingFollower: ModelName | null;
  /** Null: as wide as the embedder is by itself. */
  readonly embeddingDimensions: number | null;
  /** Who can be asked for models, by the name that their ids begin with. */
  readonly providers: ReadonlyMap<string, ProviderSettings>;
  /** True when an Ollama is to be looked for at start, and becomes the chat model when it answers. */
  readonly findsOllama: boolean;
  readonly deadlines: {
    readonly connectMs: number;
    readonly firstTokenMs: number;
    readonly idleTokenMs: number;
    readonly totalMs: number;
  };
  /** When to make a second call while the first has not begun to answer (milliseconds, or as the model usually takes); null: never. */
  readonly hedgeAfter: HedgeAfter;
  /** Answers that are kept for others who ask the same; null: none are. */
  readonly answerCache: AnswerCacheSettings | null;
  /** The operator's own model prices; null: those that come with the server. */
  readonly modelPricesFile: string | null;
  readonly streams: {
    /** How long a streamed answer can be resumed after its end. */
    readonly keepMs: number;
    /** How long an answer that was asked to be resumable goes on when nobody reads it. */
    readonly resumeGraceMs: number;
  };
  /** How long answers that are under way may take to finish when the server stops. */
  readonly drainTimeoutMs: number;
  readonly maxUploadBytes: number;
  /** Chat models, embeddings and the vector store of LangChain.js, by their names. */
  readonly langChain: LangChainSettings;
  readonly vectorStore: VectorStoreKind;
  /** Null: vectors are not at Pinecone. */
  readonly pinecone: PineconeSettings | null;
  /** Packages whose text splitters a chunking strategy may name. */
  readonly chunkingModules: readonly string[];
  /** Hosts (`name` or `name:port`) that the crawler may reach on private addresses. */
  readonly crawlAllowPrivateHosts: readonly string[];
  /** Null: the embedded database in the data folder. */
  readonly database: DatabaseSettings | null;
  readonly blobStore: BlobStoreKind;
  /** Null: what processes share is in memory. */
  readonly redis: RedisSettings | null;
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error' | 'silent';
  /** Settings that were given but have no effect in this version. */
  readonly warnings: readonly string[];
}

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

const milliseconds = (fallback: number) => z.coerce.number().int().min(1).max(3_600_000).default(fallback);

const environmentSchema = z.object({
  PORT: z.coerce.number().int().min(0).max(65_535).default(3000),
  HOST: z.string().min(1).default('127.0.0.1'),
  CHATSPHERE_DATA_DIR: z.string().min(1).default('./data'),
  CHATSPHERE_ADMIN_KEY: z.string().min(16, 'must have at least 16 characters').optional(),
  CHATSPHERE_SECRET: z.string().min(32, 'must have at least 32 characters').optional(),
  CHAT_MODEL: z.string().optional(),
  CHAT_MODEL_FALLBACKS: z.string().optional(),
  CHAT_MODEL_CHEAPER: z.string().optional(),
  EMBEDDING_MODEL: z.string().optional(),
  EMBEDDING_FOLLOWER: z.enum(['off', 'local/use-lite'], { error: 'must be off or local/use-lite' }).optional(),
  EMBEDDING_DIMENSIONS: z.coerce.number().int().min(1).max(4096).optional(),
  LLM_CONNECT_TIMEOUT_MS: milliseconds(5000),
  LLM_FIRST_TOKEN_TIMEOUT_MS: milliseconds(20_000),
  LLM_IDLE_TOKEN_TIMEOUT_MS: milliseconds(15_000),
  LLM_TOTAL_TIMEOUT_MS: milliseconds(120_000),
  MODEL_PRICES_FILE: z.string().min(1).optional(),
  STREAM_KEEP_MS: z.coerce.number().int().min(0).max(86_400_000).default(300_000),
  STREAM_RESUME_GRACE_MS: z.coerce.number().int().min(0).max(3_600_000).default(30_000),
  DRAIN_TIMEOUT_MS: z.coerce.number().int().min(0).max(3_600_000).default(10_000),
  LLM_HEDGE_AFTER_MS: z
    .union([z.enum(['off', 'p95']), z.coerce.number().int().min(1).max(3_600_000)], {
      error: 'must be off, p95 or milliseconds',
    })
    .default('off'),
  MAX_UPLOAD_BYTES: z.coerce
    .number()
    .int()
    .min(1024)
    .max(10 * 1024 ** 3)
    .default(100 * 1024 ** 2),
  ...answerCacheEnvironment,
  LANGCHAIN_CONFIG: z.string().optional(),
  CHUNKING_MODULES: z.string().default('@langchain/textsplitters'),
  CRAWL_ALLOW_PRIVATE_HOSTS: z.string().default(''),
  LOG_LEVEL: z.enum(['debug', 'info', 'warn', 'error', 'silent']).default('info'),
  ...databaseEnvironment,
  ...redisEnvironment,
  ...roleEnvironment,
  ...blobEnvironment,
  ...pineconeEnvironment,
  VECTOR_STORE: z
    .enum(['auto', 'embedded', LANGCHAIN, 'pinecone', 'pgvector'], {
      error: 'must be auto, embedded, pgvector, langchain or pinecone',
    })
    .default('auto'),
  ...queueEnvironment,
});

type Environment = z.infer<typeof environmentSchema>;

type Providers = Config['providers'];

/**
 * Reads the environment. Empty values count as unset. Rejects with one `configuration_invalid` that names every fault
 * at once, never a secret's value.
 */
export function readConfig(environment: Readonly<Record<string, string | undefined>> = process.env): Config {
  const given = Object.fromEntries(
    Object.entries(environment).filter(([, value]) => value !== undefined && value.trim() !== ''),
  );
  const parsed = environmentSchema.safeParse(given);
  const langChain = readLangChainSettings(given['LANGCHAIN_CONFIG'], given);
  const { providers, faults: providerFaults } = readProviders(given);
  const faults = [
    ...langChain.faults,
    ...providerFaults,
    ...(parsed.success
      ? faultsIn(parsed.data, providers)
      : parsed.error.issues.map((issue) => `${issue.path.join('.')} ${issue.message}`)),
    ...(parsed.success && langChain.faults.length === 0
      ? namesNotIn(langChain.settings, {
          chatModel: chatModelOf(parsed.data, providers),
          embeddingModel: embeddingModelOf(parsed.data, providers),
          vectorStore: parsed.data.VECTOR_STORE,
        })
      : []),
  ];
  if (faults.length > 0 || !parsed.success) {
    throw new AppError(
      'configuration_invalid',
      `The configuration has ${faults.length} fault(s):\n${faults.map((fault) => `  - ${fault}`).join('\n')}\nCorrect them and start again.`,
    );
  }
  return Object.freeze(
    toConfig(parsed.data, {
      langChain: langChain.settings,
      providers,
      findsOllama: findsOllama(parsed.data, providers) && !isOllamaOff(given),
    }),
  );
}

function toConfig(
  environment: Environment,
  { langChain, providers, findsOllama }: Pick<Config, 'langChain' | 'providers' | 'findsOllama'>,
): Config {
  const folder = environment.CHATSPHERE_DATA_DIR;
  return {
    host: environment.HOST,
    port: environment.PORT,
    dataFolder: isAbsolute(folder) ? folder : resolve(folder),
    adminKey: environment.CHATSPHERE_ADMIN_KEY ?? null,
    secret: environment.CHATSPHERE_SECRET ?? null,
    chatModel: chatModelOf(environment, providers),
    chatModelFallbacks: namedModels(environment.CHAT_MODEL_FALLBACKS, providers),
    chatModelCheaper: namedModels(environment.CHAT_MODEL_CHEAPER, providers),
    embeddingModel: embeddingModelOf(environment, providers),
    embeddingFollower: followerOf(environment, providers),
    embeddingDimensions: environment.EMBEDDING_DIMENSIONS ?? null,
    providers,
    findsOllama,
    deadlines: {
      connectMs: environment.LLM_CONNECT_TIMEOUT_MS,
      firstTokenMs: environment.LLM_FIRST_TOKEN_TIMEOUT_MS,
      idleTokenMs: environment.LLM_IDLE_TOKEN_TIMEOUT_MS,
      totalMs: environment.LLM_TOTAL_TIMEOUT_MS,
    },
    hedgeAfter: environment.LLM_HEDGE_AFTER_MS === 'off' ? null : environment.LLM_HEDGE_AFTER_MS,
    answerCache: answerCacheSettingsOf(environment),
    modelPricesFile: environment.MODEL_PRICES_FILE === undefined ? null : resolve(environment.MODEL_PRICES_FILE),
    streams: { keepMs: environment.STREAM_KEEP_MS, resumeGraceMs: environment.STREAM_RESUME_GRACE_MS },
    drainTimeoutMs: environment.DRAIN_TIMEOUT_MS,
    maxUploadBytes: environment.MAX_UPLOAD_BYTES,
    langChain,
    vectorStore: vectorStoreOf(environment),
    pinecone: pineconeSettingsOf(environment),
    chunkingModules: namesIn(environment.CHUNKING_MODULES),
    crawlAllowPrivateHosts: namesIn(environment.CRAWL_ALLOW_PRIVATE_HOSTS),
    database: databaseSettingsOf(environment),
    redis: redisSettingsOf(environment),
    ...roleSettingsOf(environment),
    blobStore: blobStoreOf(environment),
    ...queueSettingsOf(environment),
    logLevel: environment.LOG_LEVEL,
    warnings: [...databaseWarnings(environment), ...chatModelWarnings(environment, providers)],
  };
}

/** `none`: no packages at all. */
function namesIn(list: string): readonly string[] {
  const names = list.split(',').map((name) => name.trim());
  return names.filter((name) => name !== '' && name !== 'none');
}

function namedModels(list: string | undefined, providers: Providers): readonly ModelName[] {
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

function faultsIn(environment: Environment, providers: Providers): readonly string[] {
  return [
    ...modelFaults(environment, providers),
    ...queueFaults(environment),
    ...pineconeFaults(environment),
    ...databaseFaults(environment),
    ...blobFaults(environment),
  ];
}

function modelFaults(environment: Environment, providers: Providers): string[] {
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
function chatModelOf(environment: Environment, providers: Providers): ModelName {
  if (environment.CHAT_MODEL !== undefined) return parseModelName(environment.CHAT_MODEL, providers);
  return DEFAULT_MODELS.find(({ provider }) => providers.has(provider)) ?? EXTRACTIVE;
}

/** An Ollama is asked what it has when nothing else was chosen and it was named, or nobody else was. */
function findsOllama(environment: Environment, providers: Providers): boolean {
  if (environment.CHAT_MODEL !== undefined || chatModelOf(environment, providers) !== EXTRACTIVE) return false;
  return providers.has('ollama') || providers.size === 0;
}

/** Providers are there whose models nobody can guess. */
function chatModelWarnings(environment: Environment, providers: Providers): readonly string[] {
  if (environment.CHAT_MODEL !== undefined || providers.size === 0 || providers.has('ollama')) return [];
  if (chatModelOf(environment, providers) !== EXTRACTIVE) return [];
  return ['No model was chosen: set CHAT_MODEL to <provider>/<model>. Until then answers are quotes.'];
}

function embeddingModelOf(environment: Environment, providers: Providers): ModelName {
  if (environment.EMBEDDING_MODEL !== undefined) return parseModelName(environment.EMBEDDING_MODEL, providers);
  return (providers.get('openai')?.apiKeys ?? []).length === 0
    ? { provider: 'local', model: 'static-en' }
    : { provider: 'openai', model: 'text-embedding-3-small' };
}

/** The word table answers at once; the model that it was made from knows sentences, and comes behind it. */
function followerOf(environment: Environment, providers: Providers): ModelName | null {
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

export type ConfigOverrides = Partial<Pick<Config, 'dataFolder' | 'port' | 'host' | 'role' | 'workerPort'>>;

/** The configuration with what the command line says in place of the environment's. */
export function configWith(overrides: ConfigOverrides): Config {
  const port = overrides.port ?? overrides.workerPort;
  if (port !== undefined && !(Number.isInteger(port) && port >= 0 && port <= 65_535)) {
    throw new AppError('configuration_invalid', 'The port must be a whole number from 0 to 65535.');
  }
  return Object.freeze({ ...readConfig(), ...overrides });
}
