import { type Kysely, sql } from 'kysely';
import type { Schema } from '../../store/index.ts';

/** The columns (`table.column`) of unique constraints and indexes, by name. PostgreSQL's errors give the name alone. */
export interface UniqueColumns {
  of(constraint: string): readonly string[];
  /** Reads them from the database. */
  load(database: Kysely<Schema>): Promise<void>;
}

export function createUniqueColumns(): UniqueColumns {
  let known: ReadonlyMap<string, readonly string[]> = new Map();
  return {
    of: (constraint) => known.get(constraint) ?? [],
    async load(database) {
      const { rows } = await sql<{ readonly constraint: string; readonly column: string }>`
        select indexes.relname as "constraint", tables.relname || '.' || columns.attname as "column"
        from pg_index
        join pg_class as indexes on indexes.oid = pg_index.indexrelid
        join pg_class as tables on tables.oid = pg_index.indrelid
        join pg_attribute as columns on columns.attrelid = tables.oid and columns.attnum = any(pg_index.indkey)
        where pg_index.indisunique and tables.relnamespace = current_schema()::regnamespace
        order by indexes.relname, array_position(pg_index.indkey::smallint[], columns.attnum)`.execute(database);
      const found = new Map<string, string[]>();
      for (const { constraint, column } of rows) {
        const columns = found.get(constraint) ?? [];
        columns.push(column);
        found.set(constraint, columns);
      }
      known = found;
    },
  };
}
