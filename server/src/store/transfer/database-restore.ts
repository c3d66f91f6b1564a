import { type ReadBackup, type RestoreOptions, restoreBackup, verifyBackup } from './backup-restore.ts';
import { beginCopy, type CopyRun, findCopyRun, forgetCopy, saveRun } from './copy-progress.ts';
import { undoCopy } from './copy-rollback.ts';
import { digestKept, type FindOwnRows } from './kept-rows.ts';

const SOURCE = 'a backup';

/**
 * Fills a database that cannot be made beside the old one and swapped in: it must be empty. The backup is read through
 * before anything is written. A restore that fails empties it again; until it is done no server starts on it.
 *
 * @throws AppError `backup_invalid`, `backup_version_unsupported`, `restore_target_not_empty`
 */
export async function restoreIntoDatabase(
  options: RestoreOptions & { readonly findOwnRows: FindOwnRows },
): Promise<ReadBackup> {
  const { target, now, signal, findOwnRows } = options;
  const empty = async (within: AbortSignal) => {
    await undoCopy(target, { evenIfChanged: true, findOwnRows, signal: within });
    await forgetCopy(target);
  };
  await verifyBackup(options.path, signal);
  const left = await findCopyRun(target.database);
  if (left?.source === SOURCE && left.state !== 'done') await empty(signal);
  const begun: CopyRun = { source: SOURCE, startedAt: now, state: 'copying' };
  await beginCopy(target, begun);
  try {
    const read = await restoreBackup(options);
    const kept = await digestKept(target, options);
    await saveRun(target.database, { ...begun, state: 'done', tables: read.manifest.tables, kept, endedAt: now });
    return read;
  } catch (error) {
    // What it was stopped by does not stop this; when it fails, too, the next restore does it.
    await empty(new AbortController().signal).catch(() => {});
    throw error;
  }
}
