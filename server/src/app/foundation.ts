import { randomBytes } from 'node:crypto';
import { loadLangChain } from '../adapters/langchain/index.ts';
import { createProviderHttp } from '../adapters/provider-http/index.ts';
import { createIdMaker, type Lifecycle, systemClock } from '../kernel/index.ts';
import { createTokenCounter } from '../llm/index.ts';
import { createLogger, createMeter } from '../monitoring/index.ts';
import { createRightOfWay } from '../resilience/index.ts';
import { createKeySecret } from '../security/index.ts';
import type { Store } from '../store/index.ts';
import type { CoreOptions } from './compose-core.ts';
import type { Config } from './config.ts';
import { loadSecret } from './data-folder.ts';
import { databaseSecrets } from './database-config.ts';
import { withDiscoveredModel } from './discovery.ts';
import { createEmbedders } from './embedders.ts';
import { createLifecycle } from './lifecycle.ts';
import { openDatabase } from './open-database.ts';
import { createProviders, type Providers } from './providers.ts';
import { celerySecrets } from './queue-config.ts';
import { redisSecrets } from './redis-config.ts';
import { composeSharedState } from './shared-state.ts';

/** What a process of any role stands on: made, and started by `lifecycle`. */
export interface Foundation extends CoreOptions {
  /** An admin key that is valid for this run only, for the command line on the same machine. */
  readonly localKey: string;
  readonly store: Store;
  /** The store, the providers and the embedders. */
  readonly lifecycle: Lifecycle;
}

/** Opens what all roles need. Nothing runs before `lifecycle` is started. */
export async function layFoundation(given: Config, version: string): Promise<Foundation> {
  const { config, providers } = await findProviders(given);
  const langChain = await loadLangChain(config.langChain, [process.cwd(), config.dataFolder]);
  const pepper = await loadSecret(config.dataFolder, config.secret);
  const localKey = createKeySecret('live', randomBytes);
  const configured = [
    ...providerKeys(config),
    ...config.langChain.secrets,
    ...redisSecrets(config.redis),
    ...databaseSecrets(config.database),
    ...celerySecrets(config.celery),
  ];
  const named = [pepper, localKey, config.adminKey, config.pinecone?.apiKey ?? null];
  const secrets = [...named, ...configured].filter((secret) => secret !== null);
  const logger = createLogger({ level: config.logLevel, secrets });
  const meter = createMeter({ logger });
  const clock = systemClock;
  const createId = createIdMaker(clock.now);
  const database = openDatabase({ config, clock, logger });
  const { store } = database;
  const questionsFirst = createRightOfWay({
    clock,
    onWaited: (milliseconds) => meter.count('chatsphere_background_waited_seconds_total', {}, milliseconds / 1000),
  });
  const { giveWay } = questionsFirst;
  const wordVectors = database.wordVectorCache;
  const counter = createTokenCounter();
  const shared = composeSharedState({ config, bus: database.bus, clock, logger, meter });
  const embedders = createEmbedders({
    sharedBytes: shared.bytes,
    config,
    providers,
    langChain,
    counter,
    clock,
    logger,
    meter,
    wordVectors,
    giveWay,
  });
  const lifecycle = createLifecycle(
    [{ name: 'store', start: () => store.start(), stop: () => store.stop() }, providers, embedders],
    logger,
  );
  return {
    ...{ config, version, logger, meter, clock, createId, database, langChain, counter, embedders, providers, pepper },
    ...{ questionsFirst, localKey, lifecycle, store },
    follower: embedders.follower,
    shared,
    isSole: config.database === null,
  };
}

/** The providers that are configured, and with nothing configured an Ollama that answers on this machine. */
async function findProviders(given: Config): Promise<{ readonly config: Config; readonly providers: Providers }> {
  const http = createProviderHttp({ connectTimeoutMs: given.deadlines.connectMs });
  const config = await withDiscoveredModel(given, http);
  return { config, providers: createProviders({ config, http }) };
}

function providerKeys({ providers }: Config): readonly string[] {
  return [...providers.values()].flatMap(({ apiKeys }) => apiKeys);
}
