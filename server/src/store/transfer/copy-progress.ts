import { type Kysely, sql } from 'kysely';
import { AppError } from '../../kernel/index.ts';
import { readJson } from '../json-columns.ts';
import { appliedMigrations } from '../migrations.ts';
import type { Schema } from '../schema.ts';
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
  /** `verified`: all rows are there and were compared. `done`: what is derived from them is made, too. */
  readonly state: 'copying' | 'verified' | 'done';
  /** Of the tables as they were copied, once they were compared. */
  readonly tables?: Readonly<Record<string, RowDigest>>;
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
 * Begins a copy in an empty database, or goes on with the one that was begun from the same source. Rejects with
 * `restore_target_not_empty` for a database with rows of its own.
 */
export async function beginCopy({ database }: TransferConnection, started: CopyRun): Promise<CopyRun> {
  const known = await findCopyRun(database);
  if (known !== null && known.state !== 'done') {
    if (known.source === started.source) return known;
    throw new AppError(
      'migration_unfinished',
      `The database is being filled from ${known.source}, not from ${started.source}. Finish that, or empty it with --rollback.`,
    );
  }
  await refuseRows(database);
  if (known === null) {
    await sql`create table transfer_progress (name text primary key, value text not null)`.execute(database);
  } else {
    await sql`delete from transfer_progress`.execute(database);
  }
  await saveRun(database, started);
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

/** Forgets that the database was ever filled by a copy. */
export async function forgetCopy(database: Kysely<Schema>): Promise<void> {
  await sql`drop table transfer_progress`.execute(database);
}

async function refuseRows(database: Kysely<Schema>): Promise<void> {
  if ((await appliedMigrations(database)).length === 0) return;
  const there = new Set((await database.introspection.getTables()).map(({ name }) => name));
  for (const table of TRANSFER_KEYS.keys()) {
    if (!there.has(table)) continue;
    const { rows } = await sql`select 1 from ${sql.table(table)} limit 1`.execute(database);
    if (rows.length === 0) continue;
    throw new AppError(
      'restore_target_not_empty',
      `The target has rows in ${table} already: a server has run on it, or it was filled before. Give an empty database or folder.`,
    );
  }
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
