import { hostname } from 'node:os';
import { type DataFolderLock, finishSwap, lockDataFolder } from '../adapters/file-system/index.ts';
import type { ServingState } from '../http/index.ts';
import { AppError, type Lifecycle } from '../kernel/index.ts';
import { hashSecret } from '../security/index.ts';
import { createAdminKeyHashes } from './admin-key.ts';
import { composeServing, composeWorking } from './compose.ts';
import type { Config } from './config.ts';
import { ensureDataFolder } from './data-folder.ts';
import { DEMO_SLUG } from './demo-slug.ts';
import {
  type AdminKey,
  ensureDefaultTenant,
  ensureDemoBot,
  ensureDemoKey,
  resolveAdminKey,
  takeFirstTurn,
  trainDemoBot,
} from './first-start.ts';
import { type Foundation, layFoundation } from './foundation.ts';
import { addressOf, httpServer, refuseConnections } from './http-listening.ts';
import { createLifecycle } from './lifecycle.ts';
import { checkSecret, type SecretCheck } from './secret-fingerprint.ts';

/** A process that runs, of whichever role. */
export interface RunningProcess {
  readonly url: string;
  /** Says that it is not ready, serves on for a while so that nobody is sent here any more, and ends what is under way. */
  stop(): Promise<void>;
}

export interface RunningApplication extends RunningProcess {
  readonly dataFolder: string;
  readonly chatModel: string;
  readonly embedder: string;
  /** The admin key when this start made it; null at every later start. */
  readonly createdAdminKey: string | null;
  /** An admin key that is valid for this run only, for the command line on the same machine. */
  readonly localKey: string;
  /** Resolves once the demo bot is made and its training is queued. */
  readonly demoQueued: Promise<void>;
}

export interface StartOptions {
  readonly version: string;
  /** Folder of the project's own documentation, which the demo bot is trained on. */
  readonly documentation: string;
  /** False for a single command: the first admin key is left for `serve` to make and show. */
  readonly makeAdminKey: boolean;
  /** The secret of before is lost: the present one takes its place. */
  readonly newSecret?: boolean;
  /** Ends the waiting for the first start of another process. */
  readonly signal?: AbortSignal;
}

/**
 * Takes the data folder, opens what is in it, and listens. When anything fails, everything is closed again. Rejects
 * with `data_folder_locked`, `role_needs_database`, `secret_mismatch`, `configuration_invalid` or `database_unavailable`.
 */
export function startApplication(config: Config, options: StartOptions): Promise<RunningApplication> {
  return withLockedFolder(config, (lock) => serve(config, options, lock));
}

/** Runs jobs, and listens for whoever watches over the process. Rejects like `startApplication`. */
export function startWorker(config: Config, { version }: Pick<StartOptions, 'version'>): Promise<RunningProcess> {
  return withLockedFolder({ ...config, role: 'worker' }, (lock) => work(config, version, lock));
}

async function withLockedFolder<Running>(
  config: Config,
  start: (lock: DataFolderLock) => Promise<Running>,
): Promise<Running> {
  await ensureDataFolder(config.dataFolder);
  const lock = await lockFolder(config);
  try {
    requireSharing(config);
    return await start(lock);
  } catch (error) {
    await lock.release();
    throw error;
  }
}

const NO_LOCK: DataFolderLock = { describe: async () => {}, release: async () => {} };

/**
 * The embedded database is one process's. With one that is shared, the first process on a folder is the one that the
 * command line finds, and others may be beside it.
 */
async function lockFolder({ dataFolder, database }: Config): Promise<DataFolderLock> {
  try {
    const lock = await lockDataFolder(dataFolder);
    await finishSwap(dataFolder);
    return lock;
  } catch (error) {
    if (database !== null && error instanceof AppError && error.code === 'data_folder_locked') return NO_LOCK;
    throw error;
  }
}

/** What is divided among processes has to be in a database that they share. */
function requireSharing({ role, database }: Config): void {
  if (role === 'all' || database !== null) return;
  throw new AppError(
    'role_needs_database',
    `The role ${role} leaves a part of the work to other processes, which needs a database that they share. Set DATABASE_URL, or leave ROLE and --no-worker out: one process does everything in its data folder.`,
  );
}

async function serve(given: Config, options: StartOptions, lock: DataFolderLock): Promise<RunningApplication> {
  const foundation = await layFoundation(given, options.version);
  const { config, logger, embedders, localKey } = foundation;
  await foundation.lifecycle.start();
  try {
    const { composition, lifecycle, adminKey, demoBot, serving } = await inFirstTurn(foundation, options.signal, () =>
      beginServing(foundation, options, lock),
    );
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
        serving.state = 'leaving';
        await foundation.clock.sleep(config.shutdownDelayMs);
        // Who was let in before is served.
        if (config.shutdownDelayMs > 0) await refuseConnections(composition);
        else serving.state = 'draining';
        await demoQueued.catch(() => {});
        await lifecycle.stop();
        await foundation.lifecycle.stop();
        await lock.release();
      },
    };
  } catch (error) {
    await foundation.lifecycle.stop();
    throw error;
  }
}

/** Processes that start at once make what the first start makes one after the other, until the admin key is kept. */
async function inFirstTurn<Result>(
  foundation: Foundation,
  signal: AbortSignal | undefined,
  work: () => Promise<Result>,
): Promise<Result> {
  const { isSole, store, clock, logger } = foundation;
  if (isSole) return work();
  const self = `process ${process.pid} on ${hostname()}`;
  const turn = await takeFirstTurn({ leases: store.system.leases, clock, logger, self, signal });
  return work().finally(() => turn.release());
}

async function beginServing(foundation: Foundation, options: StartOptions, lock: DataFolderLock) {
  const { config, logger, localKey } = foundation;
  const { adminKey, demoBot, demoKey, secret } = await firstStart(foundation, options);
  const serving: { state: ServingState } = { state: 'starting' };
  const composition = composeServing({
    ...foundation,
    runsJobs: config.role === 'all',
    adminKeyHashes: adminKeyHashesOf(foundation, adminKey, [hashSecret(foundation.pepper, localKey)]),
    demo: demoKey === null ? null : { botSlug: DEMO_SLUG, publicKey: demoKey },
    servingState: () => serving.state,
  });
  for (const warning of config.warnings) logger.warn({}, warning);
  // Before the port is open: whoever reaches it is served, as a proxy does not send elsewhere what was refused with 503.
  const readiness: Lifecycle = {
    name: 'readiness',
    start: async () => {
      serving.state = 'ready';
    },
    stop: async () => {},
  };
  const lifecycle = createLifecycle(
    [...composition.parts, readiness, httpServer(composition, config, logger), ...composition.guests],
    logger,
  );
  await lifecycle.start();
  try {
    await lock.describe({ url: addressOf(composition, config), key: localKey });
    await adminKey?.keep();
    await secret.keep();
  } catch (error) {
    await lifecycle.stop();
    throw error;
  }
  return { composition, lifecycle, adminKey, demoBot, serving };
}

async function work(given: Config, version: string, lock: DataFolderLock): Promise<RunningProcess> {
  const foundation = await layFoundation({ ...given, port: given.workerPort }, version);
  const { config, logger, pepper } = foundation;
  await foundation.lifecycle.start();
  try {
    await checkSecret(foundation.store, secretCheckOf(foundation, 'check'));
    const adminKey = await resolveAdminKey(foundation.store, { configured: config.adminKey, pepper, make: false });
    let state: ServingState = 'starting';
    const composition = composeWorking({
      ...foundation,
      adminKeyHashes: adminKeyHashesOf(foundation, adminKey, []),
      servingState: () => state,
    });
    const lifecycle = createLifecycle([...composition.parts, httpServer(composition, config, logger)], logger);
    await lifecycle.start();
    state = 'ready';
    return {
      url: addressOf(composition, config),
      async stop() {
        state = 'draining';
        await lifecycle.stop();
        await foundation.lifecycle.stop();
        await lock.release();
      },
    };
  } catch (error) {
    await foundation.lifecycle.stop();
    throw error;
  }
}

/** What the first start makes, and later ones find. */
async function firstStart(foundation: Foundation, { makeAdminKey, newSecret }: StartOptions) {
  const { config, store, clock, createId, pepper, logger } = foundation;
  const secret = await checkSecret(store, secretCheckOf(foundation, newSecret === true ? 'replace' : 'keep'));
  if (secret.isNew) logger.warn({}, 'The secret was replaced: all API keys that were made before are refused');
  await ensureDefaultTenant(store, clock);
  const adminKey = await resolveAdminKey(store, {
    configured: config.adminKey,
    pepper,
    make: makeAdminKey,
    anew: secret.isNew,
  });
  const demoBot = await ensureDemoBot({ store, clock, createId, pepper });
  const demoKey = demoBot === null ? null : await ensureDemoKey({ store, clock, createId, pepper }, demoBot);
  return { adminKey, demoBot, demoKey, secret };
}

function adminKeyHashesOf(foundation: Foundation, adminKey: AdminKey | null, own: readonly string[]) {
  const { store, config, clock, logger } = foundation;
  if (adminKey?.replaces === true) {
    logger.warn(
      {},
      'CHATSPHERE_ADMIN_KEY is the admin key of the installation from now on, at every process: the one of before is not valid any more. Give all processes the same one, or none',
    );
  }
  return createAdminKeyHashes({
    ...{ store, own, clock, logger },
    atStart: adminKey?.hash ?? null,
    isConfigured: config.adminKey !== null,
  });
}

function secretCheckOf({ pepper, config }: Foundation, mode: SecretCheck['mode']): SecretCheck {
  return { secret: pepper, isConfigured: config.secret !== null, dataFolder: config.dataFolder, mode };
}
