import { sql } from 'kysely';
import { AppError } from '../../kernel/index.ts';
import { type CopyRun, findCopyRun, forgetCopy } from './copy-progress.ts';
import { differing, digestRows } from './copy-verification.ts';
import { createRowSource } from './row-source.ts';
import type { TransferConnection } from './transfer-engine.ts';
import { TRANSFER_KEYS } from './transfer-tables.ts';

/** Tables whose changes nobody would want to lose; the others change when a server merely starts or answers. */
const KEPT: ReadonlySet<string> = new Set([
  ...['settings', 'tenants', 'bots', 'sources', 'documents', 'chunks', 'index_generations', 'golden_questions'],
  ...['conversations', 'messages'],
]);

/**
 * Empties a database that a copy has filled, wholly or in part. What was written to it since would be lost: with such
 * rows it rejects with `migration_target_changed`, unless that is wanted.
 *
 * @throws AppError `nothing_to_roll_back` for a database that no copy has filled
 */
export async function undoCopy(
  target: TransferConnection,
  options: { readonly evenIfChanged: boolean; readonly signal: AbortSignal },
): Promise<CopyRun> {
  const { database, engine } = target;
  const run = await findCopyRun(database);
  if (run === null) {
    throw new AppError('nothing_to_roll_back', 'The target was not filled by a migration: nothing was changed.');
  }
  const source = createRowSource(target);
  const tables = await source.tables();
  if (run.state === 'done' && !options.evenIfChanged) {
    const now = (await digestRows(source, { onRows: () => {}, signal: options.signal })).tables();
    const changed = differing(new Map(Object.entries(run.tables ?? {})), now).filter((name) => KEPT.has(name));
    if (changed.length > 0) throw targetChanged(changed);
  }
  const there = new Set(tables.map(({ name }) => name));
  await database.transaction().execute(async (transaction) => {
    if (there.has('chunks')) {
      const tenants = await transaction.selectFrom('tenants').select('id').execute();
      for (const { id } of tenants) await engine.dialect.dropLexicalIndexes(transaction, { tenantId: id });
    }
    for (const table of [...TRANSFER_KEYS.keys()].reverse()) {
      if (there.has(table)) await sql`delete from ${sql.table(table)}`.execute(transaction);
    }
    await forgetCopy(transaction);
  });
  return run;
}

function targetChanged(tables: readonly string[]): AppError {
  return new AppError(
    'migration_target_changed',
    `The target was written to since the migration (${tables.join(', ')}); emptying it would lose that. Bring it back with a migration the other way, or add --force.`,
  );
}
