import { sql } from 'kysely';
import { AppError } from '../../kernel/index.ts';
import { type CopyRun, findCopyRun, saveEmptying } from './copy-progress.ts';
import { digestRows } from './copy-verification.ts';
import { digestKept, type FindOwnRows, keptDifferences } from './kept-rows.ts';
import { createRowSource } from './row-source.ts';
import type { TransferConnection } from './transfer-engine.ts';
import { TRANSFER_KEYS } from './transfer-tables.ts';

export interface UndoOptions {
  readonly evenIfChanged: boolean;
  readonly findOwnRows: FindOwnRows;
  readonly signal: AbortSignal;
}

/**
 * Empties a database that a copy has filled, wholly or in part. What was written to it since would be lost: with such
 * rows it rejects with `migration_target_changed`, unless that is wanted. The database still says that it is being emptied
 * then, so that whoever is killed before the files are gone, too, can do it again; `forgetCopy` is the end of it.
 *
 * @throws AppError `nothing_to_roll_back` for a database that no copy has filled
 */
export async function undoCopy(target: TransferConnection, options: UndoOptions): Promise<CopyRun> {
  const { database, engine } = target;
  const run = await findCopyRun(database);
  if (run === null) {
    throw new AppError('nothing_to_roll_back', 'The target was not filled by a migration: nothing was changed.');
  }
  if (run.state === 'done' && !options.evenIfChanged) await refuseChanges(target, run, options);
  const there = new Set((await createRowSource(target).tables()).map(({ name }) => name));
  await database.transaction().execute(async (transaction) => {
    if (there.has('chunks')) {
      const tenants = await transaction.selectFrom('tenants').select('id').execute();
      for (const { id } of tenants) await engine.dialect.dropLexicalIndexes(transaction, { tenantId: id });
    }
    for (const table of [...TRANSFER_KEYS.keys()].reverse()) {
      if (there.has(table)) await sql`delete from ${sql.table(table)}`.execute(transaction);
    }
    await saveEmptying(transaction, run);
  });
  return run;
}

async function refuseChanges(target: TransferConnection, run: CopyRun, options: UndoOptions): Promise<void> {
  const changed = keptDifferences(run.kept ?? run.tables ?? {}, await digestNow(target, run, options));
  if (changed.length === 0) return;
  throw new AppError(
    'migration_target_changed',
    `The target was written to since the migration: ${changed.join(', ')}. Emptying it would lose that. Bring it back with a migration the other way, or add --force.`,
  );
}

/** As it was counted when the copy was done: earlier versions counted whole tables. */
async function digestNow(target: TransferConnection, { kept }: CopyRun, options: UndoOptions) {
  if (kept !== undefined) return digestKept(target, options);
  const all = await digestRows(createRowSource(target), { onRows: () => {}, signal: options.signal });
  return Object.fromEntries(all.tables());
}
