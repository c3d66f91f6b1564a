import type { Clock, Logger } from '../../kernel/index.ts';
import {
  forgetCopy,
  type ReadBackup,
  restoreIntoDatabase,
  type TransferProgress,
  undoCopy,
} from '../../store/index.ts';
import type { Config } from '../config.ts';
import { openTarget, requireVectorStore } from './open-places.ts';
import { findOwnRowsWith } from './own-rows.ts';
import type { Place } from './places.ts';
import type { Restored } from './restore-installation.ts';
import { keysAfterRestore } from './secret-state.ts';

export interface DatabaseRestoreRequest {
  readonly config: Pick<Config, 'dataFolder' | 'secret'> & Partial<Pick<Config, 'vectorStore'>>;
  readonly place: Place;
  /** Folder of the project's own documentation, which servers train the demo bot on. */
  readonly documentation: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly file: string;
  readonly onProgress: (progress: TransferProgress) => void;
  readonly signal: AbortSignal;
}

/**
 * Fills an empty PostgreSQL database from a backup. When it fails the database is empty again; when it is killed no server
 * starts on it, and the next restore begins anew.
 *
 * @throws AppError `backup_invalid`, `backup_version_unsupported`, `restore_target_not_empty`, `migration_source_in_use`,
 *   `vector_extension_missing`
 */
export async function restoreDatabase(request: DatabaseRestoreRequest): Promise<Restored> {
  const { config, clock, signal } = request;
  const target = await openTarget(request.place, { ...request, dataFolder: config.dataFolder });
  try {
    await requireVectorStore(request.place, target, config.vectorStore ?? 'pgvector');
    const read: ReadBackup = await restoreIntoDatabase({
      path: request.file,
      target: target.connection,
      blobs: target.blobs,
      now: clock.now(),
      findOwnRows: findOwnRowsWith(request.documentation),
      onProgress: request.onProgress,
      signal,
    });
    const keys = await keysAfterRestore(read.header.secret && { fingerprint: read.header.secret.fingerprint }, {
      dataFolder: config.dataFolder,
      configured: config.secret,
    });
    return { ...read, keys, before: null };
  } finally {
    await target.close();
  }
}

/** Empties a database that a restore has filled; see `undoCopy`. */
export async function undoDatabaseRestore(
  request: Pick<DatabaseRestoreRequest, 'config' | 'place' | 'documentation' | 'clock' | 'logger' | 'signal'> & {
    readonly force: boolean;
  },
): Promise<string> {
  const target = await openTarget(request.place, { ...request, dataFolder: request.config.dataFolder });
  try {
    const run = await undoCopy(target.connection, {
      evenIfChanged: request.force,
      findOwnRows: findOwnRowsWith(request.documentation),
      signal: request.signal,
    });
    await target.removeBlobs();
    await forgetCopy(target.connection);
    return run.source;
  } finally {
    await target.close();
  }
}
