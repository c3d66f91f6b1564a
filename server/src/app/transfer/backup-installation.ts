import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError, type Clock, type Logger } from '../../kernel/index.ts';
import {
  createRowSource,
  readBackupHeader,
  type TransferProgress,
  type WrittenBackup,
  writeBackup,
} from '../../store/index.ts';
import type { Config } from '../config.ts';
import { openSnapshot } from './open-places.ts';
import type { Place } from './places.ts';
import { secretForBackup } from './secret-state.ts';

export interface BackupRequest {
  readonly config: Pick<Config, 'dataFolder' | 'secret'>;
  /** The database that the configuration names. */
  readonly place: Place;
  readonly program: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** A file, or a folder in which a file named by the time is made. */
  readonly target: string;
  readonly leaveOutSecret: boolean;
  readonly onProgress: (progress: TransferProgress) => void;
  readonly signal: AbortSignal;
}

/**
 * Backs the installation up while a server may be running on it: all rows are of one moment, and the files are those that
 * the rows speak of.
 */
export async function backupInstallation(request: BackupRequest): Promise<WrittenBackup & { readonly path: string }> {
  const { config, clock, signal } = request;
  const path = await resolveTarget(request.target, clock.now());
  await refuseOtherFile(path, signal);
  const source = await openSnapshot(request.place, { ...request, dataFolder: config.dataFolder });
  try {
    const written = await writeBackup({
      source: createRowSource(source.connection),
      engine: source.connection.engine.name,
      files: source.files,
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
    await source.close();
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
