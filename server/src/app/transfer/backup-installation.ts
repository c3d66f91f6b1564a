import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import {
  createFileBlobStore,
  finishSwap,
  type HeldBlobs,
  holdBlobs,
  lockDataFolder,
  readDataFolderLock,
} from '../../adapters/file-system/index.ts';
import { openSqliteSnapshot } from '../../adapters/sqlite/index.ts';
import { AppError, type Clock, type Logger } from '../../kernel/index.ts';
import {
  createRowSource,
  findBlobsInUse,
  readBackupHeader,
  type TransferConnection,
  type TransferProgress,
  type WrittenBackup,
  writeBackup,
} from '../../store/index.ts';
import type { Config } from '../config.ts';
import { secretForBackup } from './secret-state.ts';

export interface BackupRequest {
  readonly config: Pick<Config, 'dataFolder' | 'secret'>;
  readonly program: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** A file, or a folder in which a file named by the time is made. */
  readonly target: string;
  readonly leaveOutSecret: boolean;
  readonly onProgress: (progress: TransferProgress) => void;
  readonly signal: AbortSignal;
}

/** How often the snapshot is taken again when files went away between it and the moment that they were held. */
const MOST_SNAPSHOTS = 3;

/**
 * Backs the installation up while a server may be running on it: all rows are of one moment, and the files are those that
 * the rows speak of.
 */
export async function backupInstallation(request: BackupRequest): Promise<WrittenBackup & { readonly path: string }> {
  const { config, clock, signal } = request;
  const path = await resolveTarget(request.target, clock.now());
  await refuseOtherFile(path, signal);
  await finishInterruptedRestore(config.dataFolder);
  const { snapshot, files } = await openSnapshot(request);
  try {
    const written = await writeBackup({
      source: createRowSource(snapshot),
      engine: snapshot.engine.name,
      files,
      secret: await secretForBackup({
        dataFolder: config.dataFolder,
        configured: config.secret,
        leaveOut: request.leaveOutSecret,
      }),
      program: request.program,
      now: clock.now(),
      path,
      onProgress: request.onProgress,
      signal,
    });
    return { ...written, path };
  } finally {
    await snapshot.close();
    await files.release();
  }
}

/** Rows of one moment, and their files under names that no server removes. */
async function openSnapshot({
  config,
  logger,
}: BackupRequest): Promise<{ readonly snapshot: TransferConnection; readonly files: HeldBlobs }> {
  const file = join(config.dataFolder, 'chatsphere.db');
  const blobs = createFileBlobStore({ folder: join(config.dataFolder, 'blobs') });
  for (let turn = 1; ; turn += 1) {
    const snapshot = await openSqliteSnapshot({ file, logger });
    try {
      const hashes = [...(await findBlobsInUse(snapshot.database))].sort();
      const files = await holdBlobs(config.dataFolder, blobs, hashes);
      // Their source may have been deleted just after the snapshot; what is still missing then was lost before.
      if (files.missing.length === 0 || turn === MOST_SNAPSHOTS) return { snapshot, files };
      await files.release();
      await snapshot.close();
    } catch (error) {
      await snapshot.close();
      throw error;
    }
  }
}

async function resolveTarget(target: string, now: number): Promise<string> {
  const found = await stat(target).catch(() => null);
  if (found?.isDirectory() !== true && !target.endsWith('/')) return target;
  const time = new Date(now)
    .toISOString()
    .replace(/\.\d+Z$/, 'Z')
    .replaceAll(':', '');
  return join(target, `chatsphere-${time}.backup`);
}

/** An earlier backup is replaced in the end; anything else is somebody's file. */
async function refuseOtherFile(path: string, signal: AbortSignal): Promise<void> {
  const found = await stat(path).catch(() => null);
  if (found === null) return;
  if (found.isFile() && (await readBackupHeader(path, signal)) !== null) return;
  throw new AppError('path_not_writable', `${path} is there already and is no backup. Choose another name.`);
}

/** A server finishes it at its start; here none may have been started since. */
async function finishInterruptedRestore(dataFolder: string): Promise<void> {
  const found = await stat(join(dataFolder, 'swap.json')).catch(() => null);
  if (found === null || (await readDataFolderLock(dataFolder)) !== null) return;
  const lock = await lockDataFolder(dataFolder);
  try {
    await finishSwap(dataFolder);
  } finally {
    await lock.release();
  }
}
