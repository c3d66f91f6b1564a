import { isAbsolute, resolve } from 'node:path';
import type { LangChainSettings } from '../adapters/langchain/index.ts';
import type { PineconeSettings } from '../adapters/pinecone/index.ts';
import type { RedisSettings } from '../adapters/redis/index.ts';
import { AppError } from '../kernel/index.ts';
import type { HedgeAfter } from '../llm/index.ts';
import { type AnswerCacheSettings, answerCacheSettingsOf } from './answer-cache-config.ts';
import { type BlobStoreKind, blobFaults, blobStoreOf } from './blob-config.ts';
import {
  type DatabaseSettings,
  databaseFaults,
  databaseSettingsOf,
  databaseWarnings,
  type VectorStoreKind,
  vectorStoreOf,
} from './database-config.ts';
import { type Environment, environmentSchema } from './environment.ts';
import { describeFaults } from './environment-values.ts';
import { namesNotIn, readLangChainSettings } from './langchain-config.ts';
import {
  chatModelOf,
  chatModelWarnings,
  embeddingModelOf,
  findsOllama,
  followerOf,
  type ModelName,
  modelFaults,
  namedModels,
  namesIn,
} from './model-choice.ts';
import { pineconeFaults, pineconeSettingsOf } from './pinecone-config.ts';
import { isOllamaOff, type ProviderSettings, readProviders } from './provider-settings.ts';
import { type QueueSettings, queueFaults, queueSettingsOf } from './queue-config.ts';
import { redisSettingsOf } from './redis-config.ts';
import { type RoleSettings, roleSettingsOf } from './role-config.ts';
import { moduleFaults, modulesOf } from './splitter-config.ts';
import { unusedSettings } from './unused-settings.ts';

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

/**
 * Reads the environment. Empty values count as unset. Rejects with one `configuration_invalid` that names every fault
 * at once, never a secret's value.
 */
export function readConfig(environment: Readonly<Record<string, string | undefined>> = process.env): Config {
  const given = Object.fromEntries(
    Object.entries(environment).filter(([, value]) => value !== undefined && value.trim() !== ''),
  );
  const parsed = environmentSchema.safeParse(given);
  const wrong = describeFaults(parsed.success ? [] : parsed.error.issues, given);
  // What is wrong by itself counts as unset for the rest, so that all faults are found at once.
  const others = Object.fromEntries(Object.entries(given).filter(([name]) => !wrong.has(name)));
  const usable = environmentSchema.parse(others);
  const langChain = readLangChainSettings(given['LANGCHAIN_CONFIG'], given);
  const { providers, faults: providerFaults } = readProviders(given);
  const combined = [
    ...faultsIn(usable, providers),
    ...(langChain.faults.length > 0
      ? []
      : namesNotIn(langChain.settings, {
          chatModel: chatModelOf(usable, providers),
          embeddingModel: embeddingModelOf(usable, providers),
          vectorStore: usable.VECTOR_STORE,
        })),
  ].filter((fault) => ![...wrong.keys()].some((name) => fault.includes(name)));
  const faults = [...langChain.faults, ...providerFaults, ...wrong.values(), ...combined];
  if (faults.length > 0) {
    throw new AppError(
      'configuration_invalid',
      `The configuration has ${faults.length} fault(s):\n${faults.map((fault) => `  - ${fault}`).join('\n')}\nCorrect them and start again.`,
    );
  }
  return Object.freeze(
    toConfig(usable, {
      langChain: langChain.settings,
      providers,
      findsOllama: findsOllama(usable, providers) && !isOllamaOff(given),
      unused: unusedSettings(given),
    }),
  );
}

function toConfig(
  environment: Environment,
  {
    langChain,
    providers,
    findsOllama,
    unused,
  }: Pick<Config, 'langChain' | 'providers' | 'findsOllama'> & { readonly unused: readonly string[] },
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
    chunkingModules: modulesOf(environment),
    crawlAllowPrivateHosts: namesIn(environment.CRAWL_ALLOW_PRIVATE_HOSTS),
    database: databaseSettingsOf(environment),
    redis: redisSettingsOf(environment),
    ...roleSettingsOf(environment),
    blobStore: blobStoreOf(environment),
    ...queueSettingsOf(environment),
    logLevel: environment.LOG_LEVEL,
    warnings: [...databaseWarnings(environment), ...chatModelWarnings(environment, providers), ...unused],
  };
}

function faultsIn(environment: Environment, providers: Config['providers']): readonly string[] {
  return [
    ...modelFaults(environment, providers),
    ...queueFaults(environment),
    ...pineconeFaults(environment),
    ...databaseFaults(environment),
    ...blobFaults(environment),
    ...moduleFaults(environment),
  ];
}

export type ConfigOverrides = Partial<Pick<Config, 'dataFolder' | 'port' | 'host' | 'role' | 'workerPort'>>;

/** The configuration with what the command line says in place of the environment's. */
export function configWith(overrides: ConfigOverrides): Config {
  const port = overrides.port ?? overrides.workerPort;
  if (port !== undefined && !(Number.isInteger(port) && port >= 0 && port <= 65_535)) {
    throw new AppError('configuration_invalid', `The port must be a whole number from 0 to 65535, not ${port}.`);
  }
  return Object.freeze({ ...readConfig(), ...overrides });
}
