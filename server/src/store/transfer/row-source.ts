import { sql } from 'kysely';
import { appliedMigrations } from '../migrations.ts';
import { sizeOfRow } from './row-line.ts';
import type { TransferConnection } from './transfer-engine.ts';
import { TRANSFER_KEYS, type TransferRow, type TransferTable, type TransferValue } from './transfer-tables.ts';

/** The values of a row's key, in the order of the table's key. */
export type RowKey = readonly TransferValue[];

/** All rows of a database. On a snapshot, all of them are of one moment. */
export interface RowSource {
  /** The numbers of the migrations that its schema is made of; none for an empty database. */
  migrations(): Promise<readonly number[]>;
  /** Parents before children. */
  tables(): Promise<readonly TransferTable[]>;
  count(table: TransferTable): Promise<number>;
  /** In the order of the key, in pages of a few megabytes, from behind the given key. */
  pages(
    table: TransferTable,
    options?: { readonly after?: RowKey | null; readonly signal?: AbortSignal },
  ): AsyncGenerator<readonly TransferRow[]>;
}

const PAGE_BYTES = 2 * 1024 ** 2;
const MOST_ROWS = 2_000;
const FIRST_ROWS = 16;

export function createRowSource({ database, engine }: TransferConnection): RowSource {
  return {
    migrations: () => appliedMigrations(database),
    async tables() {
      const found: TransferTable[] = [];
      for (const [name, key] of TRANSFER_KEYS) {
        const columns = await engine.columnsOf(database, name);
        if (columns.length > 0) found.push({ name, key, columns: [...columns].sort() });
      }
      return found;
    },
    async count({ name }) {
      const { rows } = await sql<{ rows: number }>`select count(*) as "rows" from ${sql.table(name)}`.execute(database);
      return Number(rows[0]?.rows ?? 0);
    },
    async *pages(table, { after = null, signal } = {}) {
      const keyPlaces = table.key.map((column) => table.columns.indexOf(column));
      const columns = sql.join(table.columns.map((column) => sql.ref(column)));
      const key = sql.join(table.key.map((column) => sql.ref(column)));
      let limit = FIRST_ROWS;
      for (let last = after; ; ) {
        signal?.throwIfAborted();
        const behind = last === null ? sql`` : sql`where (${key}) > (${sql.join([...last])})`;
        const found = await sql<Record<string, TransferValue>>`select ${columns} from ${sql.table(table.name)} ${behind}
          order by ${key} limit ${limit}`.execute(database);
        const rows = found.rows.map((row) => table.columns.map((column) => row[column] ?? null));
        const final = rows.at(-1);
        if (final === undefined) return;
        yield rows;
        if (rows.length < limit) return;
        last = keyPlaces.map((place) => final[place] ?? null);
        limit = nextLimit(limit, rows);
      }
    },
  };
}

/** As many rows as make a page of the wanted size, judged by those that were just read; it grows slowly. */
function nextLimit(limit: number, rows: readonly TransferRow[]): number {
  const bytes = rows.reduce((sum, row) => sum + sizeOfRow(row), 1);
  const fitting = Math.floor((rows.length * PAGE_BYTES) / bytes);
  return Math.max(1, Math.min(fitting, limit * 2, MOST_ROWS));
}
