import { type Kysely, sql } from 'kysely';
import { AppError } from '../../kernel/index.ts';
import { readJson } from '../json-columns.ts';
import { appliedMigrations } from '../migrations.ts';
import type { Schema } from '../schema.ts';
import type { KeptDigests } from './kept-rows.ts';
import type { RowDigest } from './row-digests.ts';
import { fromRowLine, toRowLine } from './row-line.ts';
import type { RowKey } from './row-source.ts';
import type { TransferConnection } from './transfer-engine.ts';
import { TRANSFER_KEYS } from './transfer-tables.ts';

/** What the target of a copy says of it. It stays when the copy is done, for whoever wants to take it back. */
export interface CopyRun {
  /** Where the rows come from, without secrets. */
  readonly source: string;
  readonly startedAt: number;
  /**
   * `verified`: all rows are there and were compared. `done`: what is derived from them is made, too. `emptying`: the rows
   * are gone again, and maybe not all files yet.
   */
  readonly state: 'copying' | 'verified' | 'done' | 'emptying';
  /** Of the tables as they were copied, once they were compared. */
  readonly tables?: Readonly<Record<string, RowDigest>>;
  /** Of what users would miss, when the copy was done. Earlier versions did not write it. */
  readonly kept?: KeptDigests;
  /** How many bots were compared. */
  readonly bots?: number;
  readonly endedAt?: number;
}

interface TransferProgressTable {
  name: string;
  value: string;
}

type WithProgress = { transfer_progress: TransferProgressTable };

const RUN = 'run';

function progressIn(database: Kysely<Schema>): Kysely<WithProgress> {
  return database as unknown as Kysely<WithProgress>;
}

/** The copy that filled the database, or is to; null: none did. */
export async function findCopyRun(database: Kysely<Schema>): Promise<CopyRun | null> {
  const tables = await database.introspection.getTables();
  if (!tables.some(({ name }) => name === 'transfer_progress')) return null;
  const value = await readValue(database, RUN);
  return value === null ? null : readJson<CopyRun>(value);
}

/** Rejects with `migration_unfinished` when the database is still being filled by a copy, or the copy was given up. */
export async function refuseUnfinishedCopy(database: Kysely<Schema>): Promise<void> {
  const run = await findCopyRun(database);
  if (run === null || run.state === 'done') return;
  throw new AppError(
    'migration_unfinished',
    `The database is being filled from ${run.source}, and that has not been finished. Run chatsphere migrate again to go on, or chatsphere migrate --rollback to empty it.`,
  );
}

/**
 * The copy from the source that goes on when it is begun; null: a new one begins. Changes nothing. Rejects with what
 * `beginCopy` rejects with.
 */
export async function findCopyToGoOn({ database }: TransferConnection, source: string): Promise<CopyRun | null> {
  const known = await findCopyRun(database);
  if (known !== null && known.state !== 'done' && known.state !== 'emptying') {
    if (known.source === source) return known;
    throw new AppError(
      'migration_unfinished',
      `The database is being filled from ${known.source}, not from ${source}. Finish that, or empty it with --rollback.`,
    );
  }
  await refuseRows(database);
  return null;
}

/**
 * Begins a copy in an empty database, or goes on with the one that was begun from the same source. Rejects with
 * `restore_target_not_empty` for a database with rows of its own.
 */
export async function beginCopy(target: TransferConnection, started: CopyRun): Promise<CopyRun> {
  const { database } = target;
  const known = await findCopyToGoOn(target, started.source);
  if (known !== null) return known;
  await database.transaction().execute(async (transaction) => {
    await sql`create table if not exists transfer_progress (name text primary key, value text not null)`.execute(
      transaction,
    );
    await sql`delete from transfer_progress`.execute(transaction);
    await saveRun(transaction, started);
  });
  return started;
}

export function saveRun(database: Kysely<Schema>, run: CopyRun): Promise<void> {
  return saveValue(database, RUN, JSON.stringify(run));
}

/** The key of the last row of the table that was copied; null: none was. */
export async function readCopied(database: Kysely<Schema>, table: string): Promise<RowKey | null> {
  const value = await readValue(database, `table:${table}`);
  return value === null ? null : fromRowLine(JSON.parse(value));
}

/** In the transaction that inserts the rows up to that key. */
export function saveCopied(database: Kysely<Schema>, table: string, key: RowKey): Promise<void> {
  return saveValue(database, `table:${table}`, toRowLine(key));
}

/** The hash of the last file that was copied, in their order. */
export function readCopiedFile(database: Kysely<Schema>): Promise<string | null> {
  return readValue(database, 'file');
}

export function saveCopiedFile(database: Kysely<Schema>, hash: string): Promise<void> {
  return saveValue(database, 'file', hash);
}

/** In the transaction that removes the rows: what was copied is forgotten, that something was is not. */
export async function saveEmptying(database: Kysely<Schema>, { source, startedAt }: CopyRun): Promise<void> {
  await sql`delete from transfer_progress`.execute(database);
  await saveRun(database, { source, startedAt, state: 'emptying' });
}

/** Forgets that the database was ever filled by a copy. */
export async function forgetCopy({ database }: Pick<TransferConnection, 'database'>): Promise<void> {
  await sql`drop table transfer_progress`.execute(database);
}

/** How many rows there are, by table, of those tables that have any. */
export async function countRows(database: Kysely<Schema>): Promise<Readonly<Record<string, number>>> {
  if ((await appliedMigrations(database)).length === 0) return {};
  const there = new Set((await database.introspection.getTables()).map(({ name }) => name));
  const counts: Record<string, number> = {};
  for (const table of TRANSFER_KEYS.keys()) {
    if (!there.has(table)) continue;
    const { rows } = await sql<{ rows: number }>`select count(*) as "rows" from ${sql.table(table)}`.execute(database);
    const count = Number(rows[0]?.rows ?? 0);
    if (count > 0) counts[table] = count;
  }
  return counts;
}

async function refuseRows(database: Kysely<Schema>): Promise<void> {
  const counts = Object.entries(await countRows(database));
  if (counts.length === 0) return;
  const listed = counts.map(([table, rows]) => `${table} ${rows}`).join(', ');
  throw new AppError(
    'restore_target_not_empty',
    `The target is not empty: a server has run on it, or it was filled before. Rows: ${listed}. Give an empty database or folder.`,
  );
}

async function readValue(database: Kysely<Schema>, name: string): Promise<string | null> {
  const row = await progressIn(database)
    .selectFrom('transfer_progress')
    .select('value')
    .where('name', '=', name)
    .executeTakeFirst();
  return row?.value ?? null;
}

async function saveValue(database: Kysely<Schema>, name: string, value: string): Promise<void> {
  await progressIn(database)
    .insertInto('transfer_progress')
    .values({ name, value })
    .onConflict((conflict) => conflict.column('name').doUpdateSet({ value }))
    .execute();
}
