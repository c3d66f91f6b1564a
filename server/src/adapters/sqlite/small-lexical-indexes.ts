import { type Kysely, type RawBuilder, type SqlBool, sql } from 'kysely';
import type { Schema } from '../../store/index.ts';
import { toQueryResult } from './kysely-dialect.ts';
import { LEXICAL_MODULE, type LexicalKey, type LexicalPlace } from './lexical-tables.ts';
import { type LexicalEntry, lexicalEntries } from './lexical-writing.ts';
import { failureOf } from './sqlite-failure.ts';
import type { StatementRunner } from './statement.ts';

/** How many are kept; of small chunk sets each takes some 100 KB at most. */
const MOST_KEPT = 128;

type SmallPlace = Extract<LexicalPlace, { type: 'chunks' }>;

/** Full-text tables of small chunk sets, made in memory for a search and kept until others need the place. */
export interface SmallLexicalIndexes {
  /** Reads from the table that holds the chunks of the place, or a later state of them. */
  read<Row>(place: SmallPlace, queryOf: (table: RawBuilder<unknown>) => RawBuilder<Row>): Promise<readonly Row[]>;
}

/**
 * Every full-text table adds five tables to the schema, which SQLite reads anew, whole, on each connection after any
 * table was made: with thousands of bots that takes seconds each time. So small chunk sets have their words in
 * temporary tables of the connection that reads, which no other connection knows of. These are emptied and filled again
 * when another bot takes them. `reader` must run statements in the order in which they are given.
 */
export function createSmallLexicalIndexes({
  database,
  reader,
}: {
  /** Compiles statements; nothing runs over it. */
  readonly database: Kysely<Schema>;
  readonly reader: Pick<StatementRunner, 'execute'>;
}): SmallLexicalIndexes {
  /** By chunk set, the least recently used first. */
  const kept = new Map<string, { readonly slot: number; readonly version: string }>();

  async function run<Row>(statement: RawBuilder<Row>): Promise<readonly Row[]> {
    const { sql: text, parameters } = statement.compile(database);
    return toQueryResult<Row>(await reader.execute({ sql: text, parameters, within: 'nothing' })).rows;
  }

  /** The table with these chunks, which is now the most recently used one. */
  function find({ key, version }: SmallPlace): RawBuilder<unknown> | null {
    const name = nameOf(key);
    const found = kept.get(name);
    if (found === undefined || found.version !== version) return null;
    kept.delete(name);
    kept.set(name, found);
    return tableOf(found.slot);
  }

  function take({ key, version }: SmallPlace): number {
    const name = nameOf(key);
    const oldest = kept.size < MOST_KEPT ? undefined : kept.entries().next().value;
    const slot = kept.get(name)?.slot ?? oldest?.[1].slot ?? kept.size;
    if (!kept.has(name) && oldest !== undefined) kept.delete(oldest[0]);
    kept.delete(name);
    kept.set(name, { slot, version });
    return slot;
  }

  /** All statements are given at once, so that no other search comes between filling the table and reading it. */
  async function fillAndRead<Row>(
    place: SmallPlace,
    unspaced: readonly LexicalEntry[],
    queryOf: (table: RawBuilder<unknown>) => RawBuilder<Row>,
  ): Promise<readonly Row[]> {
    const entries = lexicalEntries(place.key, sql<SqlBool>`true`);
    const slot = take(place);
    const table = tableOf(slot);
    const filling = [
      sql`create virtual table if not exists ${sql.table(`temp.${nameOfSlot(slot)}`)} using ${LEXICAL_MODULE}`,
      sql`insert into ${table} (${sql.ref(nameOfSlot(slot))}) values ('delete-all')`,
      entries.insertSpaced(table),
      ...unspaced.map((entry) => entries.insertUnspaced(table, entry)),
    ].map(run);
    const [rows] = await Promise.all([run(queryOf(table)), ...filling]);
    return rows;
  }

  async function read<Row>(
    place: SmallPlace,
    queryOf: (table: RawBuilder<unknown>) => RawBuilder<Row>,
  ): Promise<readonly Row[]> {
    const known = find(place);
    if (known !== null) return run(queryOf(known));
    const unspaced = await run(lexicalEntries(place.key, sql<SqlBool>`true`).unspaced);
    const meanwhile = find(place);
    return meanwhile === null ? fillAndRead(place, unspaced, queryOf) : run(queryOf(meanwhile));
  }

  return {
    async read(place, queryOf) {
      try {
        return await read(place, queryOf);
      } catch (error) {
        kept.clear();
        // The connection is another one, which has none of the tables yet.
        if (failureOf(error)?.message.includes('no such table') !== true) throw error;
        return read(place, queryOf);
      }
    },
  };
}

function nameOf({ tenantId, botId, chunkSet }: LexicalKey): string {
  return JSON.stringify([tenantId, botId, chunkSet]);
}

function nameOfSlot(slot: number): string {
  return `small_lexical_index_${slot}`;
}

/** Found among the temporary tables first; a match names it without its schema. */
function tableOf(slot: number): RawBuilder<unknown> {
  return sql.table(nameOfSlot(slot));
}
