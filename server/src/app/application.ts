import { randomBytes } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { type DataFolderLock, lockDataFolder } from '../adapters/file-system/index.ts';
import { loadLangChain } from '../adapters/langchain/index.ts';
import { createProviderHttp } from '../adapters/provider-http/index.ts';
import { openSqlite } from '../adapters/sqlite/index.ts';
import type { ServingState } from '../http/index.ts';
import { AppError, createDeadline, createIdMaker, type Lifecycle, type Logger, systemClock } from '../kernel/index.ts';
import { createTokenCounter } from '../llm/index.ts';
import { createLogger, createMeter } from '../monitoring/index.ts';
import { createRightOfWay } from '../resilience/index.ts';
import { createKeySecret, hashSecret } from '../security/index.ts';
import { type Composition, composeApplication } from './compose.ts';
import type { Config } from './config.ts';
import { ensureDataFolder, loadSecret } from './data-folder.ts';
import { DEMO_SLUG } from './demo-slug.ts';
import { withDiscoveredModel } from './discovery.ts';
import { createEmbedders } from './embedders.ts';
import { ensureDefaultTenant, ensureDemoBot, ensureDemoKey, resolveAdminKey, trainDemoBot } from './first-start.ts';
import { createLifecycle } from './lifecycle.ts';
import { createProviders, type Providers } from './providers.ts';
import { redisSecrets } from './redis-config.ts';

/** What is no answer may take so long to finish, after the answers. */
const CUT_MS = 5_000;
/** As many clients as may come at once. Node's 511 are soon full while much is under way, and who is turned away tries again after seconds. */
const LISTEN_BACKLOG = 4096;

export interface RunningApplication {
  readonly url: string;
  readonly dataFolder: string;
  readonly chatModel: string;
  readonly embedder: string;
  /** The admin key when this start made it; null at every later start. */
  readonly createdAdminKey: string | null;
  /** An admin key that is valid for this run only, for the command line on the same machine. */
  readonly localKey: string;
  /** Resolves once the demo bot is made and its training is queued. */
  readonly demoQueued: Promise<void>;
  stop(): Promise<void>;
}

export interface StartOptions {
  readonly version: string;
  /** Folder of the project's own documentation, which the demo bot is trained on. */
  readonly documentation: string;
  /** False for a single command: the first admin key is left for `serve` to make and show. */
  readonly makeAdminKey: boolean;
}

/**
 * Takes the data folder, opens what is in it, and listens. When anything fails, everything is closed again. Rejects
 * with `data_folder_locked`, `configuration_invalid` or `database_unavailable`.
 */
export async function startApplication(config: Config, options: StartOptions): Promise<RunningApplication> {
  await ensureDataFolder(config.dataFolder);
  const lock = await lockDataFolder(config.dataFolder);
  try {
    return await startLocked(config, options, lock);
  } catch (error) {
    await lock.release();
    throw error;
  }
}

async function startLocked(given: Config, options: StartOptions, lock: DataFolderLock): Promise<RunningApplication> {
  const { config, providers } = await findProviders(given);
  const langChain = await loadLangChain(config.langChain, [process.cwd(), config.dataFolder]);
  const pepper = await loadSecret(config.dataFolder, config.secret);
  const localKey = createKeySecret('live', randomBytes);
  const configured = [...providerKeys(config), ...config.langChain.secrets, ...redisSecrets(config.redis)];
  const secrets = [pepper, localKey, config.adminKey, ...configured].filter((secret) => secret !== null);
  const logger = createLogger({ level: config.logLevel, secrets });
  const meter = createMeter({ logger });
  const clock = systemClock;
  const createId = createIdMaker(clock.now);
  const sqlite = openSqlite({ file: join(config.dataFolder, 'chatsphere.db'), clock, logger });
  const { store } = sqlite;
  const questionsFirst = createRightOfWay({
    clock,
    onWaited: (milliseconds) => meter.count('chatsphere_background_waited_seconds_total', {}, milliseconds / 1000),
  });
  const { giveWay } = questionsFirst;
  const wordVectors = sqlite.wordVectorCache;
  const counter = createTokenCounter();
  const embedders = createEmbedders({
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
  const foundation = createLifecycle(
    [{ name: 'store', start: () => store.start(), stop: () => store.stop() }, providers, embedders],
    logger,
  );
  await foundation.start();
  try {
    await ensureDefaultTenant(store, clock);
    const adminKey = await resolveAdminKey(store, { configured: config.adminKey, pepper, make: options.makeAdminKey });
    const demoBot = await ensureDemoBot({ store, clock, createId, pepper });
    const demoKey = demoBot === null ? null : await ensureDemoKey({ store, clock, createId, pepper }, demoBot);
    let state: ServingState = 'starting';
    const composition = composeApplication({
      config,
      version: options.version,
      logger,
      meter,
      clock,
      createId,
      sqlite,
      langChain,
      counter,
      embedders,
      providers,
      follower: embedders.follower,
      questionsFirst,
      blobFolder: join(config.dataFolder, 'blobs'),
      pepper,
      adminKeyHashes: [hashSecret(pepper, localKey), ...(adminKey === null ? [] : [adminKey.hash])],
      demo: demoKey === null ? null : { botSlug: DEMO_SLUG, publicKey: demoKey },
      servingState: () => state,
    });
    for (const warning of config.warnings) logger.warn({}, warning);
    const lifecycle = createLifecycle([...composition.parts, httpServer(composition, config, logger)], logger);
    await lifecycle.start();
    try {
      await lock.describe({ url: addressOf(composition, config), key: localKey });
      await adminKey?.keep();
    } catch (error) {
      await lifecycle.stop();
      throw error;
    }
    state = 'ready';
    const demoQueued =
      demoBot === null ? Promise.resolve() : trainDemoBot(demoBot, composition.trainer, options.documentation);
    demoQueued.catch((error: unknown) => {
      // Somebody may delete it meanwhile.
      if (!(error instanceof AppError) || error.code !== 'bot_not_found') {
        logger.error({ error }, 'the demo bot could not be trained');
      }
    });
    return {
      url: addressOf(composition, config),
      dataFolder: config.dataFolder,
      chatModel: composition.chatModel,
      embedder: embedders.own.profile.id,
      createdAdminKey: adminKey?.created ?? null,
      localKey,
      demoQueued,
      async stop() {
        state = 'draining';
        await demoQueued.catch(() => {});
        await lifecycle.stop();
        await foundation.stop();
        await lock.release();
      },
    };
  } catch (error) {
    await foundation.stop();
    throw error;
  }
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

/**
 * Listens. On stop it still does, to say 503 to whoever comes, until the answers that are under way have finished or
 * their time is over; then lets other requests finish for a while, and cuts them.
 */
function httpServer({ http, drainAnswers }: Composition, config: Config, logger: Logger): Lifecycle {
  return {
    name: 'http',
    async start() {
      try {
        await http.listen({ host: config.host, port: config.port, backlog: LISTEN_BACKLOG });
      } catch (cause) {
        throw listenError(cause, config);
      }
    },
    async stop() {
      await drainAnswers(config.drainTimeoutMs);
      using deadline = createDeadline(CUT_MS);
      deadline.signal.addEventListener('abort', () => {
        logger.warn({}, 'requests were still running at the end of the drain time and are cut');
        http.server.closeAllConnections();
      });
      await http.close();
    },
  };
}

function addressOf({ http }: Composition, config: Config): string {
  const { port } = http.server.address() as AddressInfo;
  const host = config.host === '0.0.0.0' || config.host === '::' ? '127.0.0.1' : config.host;
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

function listenError(cause: unknown, config: Config): unknown {
  const code = (cause as NodeJS.ErrnoException).code;
  const place = `${config.host}:${config.port}`;
  if (code === 'EADDRINUSE')
    return new AppError(
      'configuration_invalid',
      `The port ${place} is taken by another program. Set PORT to a free one.`,
      { cause },
    );
  if (code === 'EACCES')
    return new AppError('configuration_invalid', `This user may not listen on ${place}. Set PORT to 1024 or higher.`, {
      cause,
    });
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND')
    return new AppError('configuration_invalid', `This machine has no address ${config.host}. Set HOST.`, { cause });
  return cause;
}
