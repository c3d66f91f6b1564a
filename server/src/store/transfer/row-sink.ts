import { type Kysely, sql } from 'kysely';
import { migrate } from '../migrations.ts';
import type { Schema } from '../schema.ts';
import { rebuildLexicalIndexes } from './lexical-rebuild.ts';
import type { TransferConnection } from './transfer-engine.ts';
import type { TransferRow, TransferTable } from './transfer-tables.ts';

/** Where rows go: a database that is filled from nothing. */
export interface RowSink {
  /**
   * Makes the tables as the rows were written. Rejects with `configuration_invalid` when a migration among the numbers is
   * not known: they are of a newer version.
   */
  prepare(migrations: readonly number[], now: number): Promise<void>;
  /** Works inside the given transaction. */
  insert(database: Kysely<Schema>, table: TransferTable, rows: readonly TransferRow[]): Promise<void>;
  /** Once all rows are there: brings the schema to this version, and makes what is derived from rows. */
  finish(options: {
    readonly tables: readonly TransferTable[];
    readonly now: number;
    readonly onIndexed: (documents: number) => void;
    readonly signal: AbortSignal;
  }): Promise<void>;
}

/** Keeps a statement below every engine's limit of parameters (SQLite: 32,766). */
const MOST_PARAMETERS = 8_000;

export function createRowSink({ database, engine }: TransferConnection): RowSink {
  return {
    prepare: (migrations, now) => migrate(database, engine.dialect, { now, only: migrations }),
    async insert(transaction, table, rows) {
      const columns = sql.join(table.columns.map((column) => sql.ref(column)));
      const rowsAtOnce = Math.max(1, Math.floor(MOST_PARAMETERS / table.columns.length));
      for (let first = 0; first < rows.length; first += rowsAtOnce) {
        const values = rows.slice(first, first + rowsAtOnce).map((row) => sql`(${sql.join([...row])})`);
        await sql`insert into ${sql.table(table.name)} (${columns}) values ${sql.join(values)}`.execute(transaction);
      }
    },
    async finish({ tables, now, onIndexed, signal }) {
      for (const { name, key } of tables) {
        if (key.join() === 'number') await engine.continueNumbers(database, name);
      }
      await migrate(database, engine.dialect, { now });
      await engine.gatherStatistics(database);
      await rebuildLexicalIndexes({ database, engine }, { onIndexed, signal });
    },
  };
}
