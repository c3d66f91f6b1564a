import { mkdir, open, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import {
  createFileBlobStore,
  finishSwap,
  holdsData,
  lockDataFolder,
  swapBack,
  swapIn,
} from '../../adapters/file-system/index.ts';
import { openSqliteForFilling } from '../../adapters/sqlite/index.ts';
import { AppError, type Clock, type Logger } from '../../kernel/index.ts';
import { type ReadBackup, restoreBackup, type TransferProgress } from '../../store/index.ts';
import type { Config } from '../config.ts';
import { ensureDataFolder } from '../data-folder.ts';
import { type KeysAfterRestore, keysAfterRestore } from './secret-state.ts';

export interface RestoreRequest {
  readonly config: Pick<Config, 'dataFolder' | 'secret'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly file: string;
  /** Data that is there already is put aside. */
  readonly force: boolean;
  readonly onProgress: (progress: TransferProgress) => void;
  readonly signal: AbortSignal;
}

export interface Restored extends ReadBackup {
  readonly keys: KeysAfterRestore;
  /** The folder in the data folder that what was there before is in; null when there was nothing. */
  readonly before: string | null;
}

const STAGED = /^restoring-\d+$/;

/**
 * Makes the installation of a backup. Everything is made and checked in a folder beside the data, which it then replaces as
 * a whole; until then nothing that was there is touched.
 *
 * @throws AppError `backup_invalid`, `backup_version_unsupported`, `restore_target_not_empty`, `data_folder_locked`
 */
export async function restoreInstallation(request: RestoreRequest): Promise<Restored> {
  const { config, clock } = request;
  const { dataFolder } = config;
  await ensureDataFolder(dataFolder);
  return holdingFolder(dataFolder, async () => {
    if (!request.force && (await holdsData(dataFolder))) throw notEmpty(dataFolder);
    await removeAbandoned(dataFolder);
    const staged = `restoring-${process.pid}`;
    const folder = join(dataFolder, staged);
    await mkdir(folder, { mode: 0o700 });
    try {
      const read = await stage(request, folder);
      request.signal.throwIfAborted();
      const keys = await keysAfterRestore(read.header.secret, { dataFolder, configured: config.secret });
      const before = await swapIn(dataFolder, { staged, now: clock.now(), keep: ['secret'] });
      return { ...read, keys, before };
    } catch (error) {
      // After the swap it is gone already.
      await rm(folder, { recursive: true, force: true });
      throw error;
    }
  });
}

/** Brings back what was there before the last restore; see `swapBack`. */
export function undoRestore(
  dataFolder: string,
  clock: Clock,
): Promise<{ readonly broughtBack: string; readonly movedTo: string }> {
  return holdingFolder(dataFolder, () => swapBack(dataFolder, clock.now()));
}

async function holdingFolder<Result>(dataFolder: string, work: () => Promise<Result>): Promise<Result> {
  const lock = await lockDataFolder(dataFolder);
  try {
    await finishSwap(dataFolder);
    return await work();
  } finally {
    await lock.release();
  }
}

/** Everything of the backup as files in the folder, synced. */
async function stage(request: RestoreRequest, folder: string): Promise<ReadBackup> {
  const file = join(folder, 'chatsphere.db');
  const target = openSqliteForFilling({ file, logger: request.logger });
  let read: ReadBackup;
  try {
    read = await restoreBackup({
      path: request.file,
      target,
      blobs: createFileBlobStore({ folder: join(folder, 'blobs') }),
      now: request.clock.now(),
      onProgress: request.onProgress,
      signal: request.signal,
    });
  } finally {
    await target.close();
  }
  const secret = read.header.secret?.text;
  if (secret !== undefined) await writeSynced(join(folder, 'secret'), `${secret}\n`);
  await syncPath(file);
  await syncPath(folder);
  return read;
}

async function writeSynced(path: string, text: string): Promise<void> {
  const file = await open(path, 'wx', 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function syncPath(path: string): Promise<void> {
  const file = await open(path, 'r');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

async function removeAbandoned(dataFolder: string): Promise<void> {
  for (const name of await readdir(dataFolder)) {
    if (STAGED.test(name)) await rm(join(dataFolder, name), { recursive: true, force: true });
  }
}

function notEmpty(dataFolder: string): AppError {
  return new AppError(
    'restore_target_not_empty',
    `There is data in ${dataFolder} already. Choose another folder with --data-dir, or put that aside with --force.`,
  );
}
