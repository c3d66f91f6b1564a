import { type Expression, type Kysely, type RawBuilder, type SqlBool, sql } from 'kysely';
import type { Schema } from '../../store/index.ts';
import { indexableText } from '../../vector-store/index.ts';
import { createLexicalTable, findLexicalTable, type LexicalKey } from './lexical-tables.ts';

/** A chunk as a full-text table takes it. */
export interface LexicalEntry {
  readonly number: number;
  readonly title: string;
  readonly body: string;
}

/** Texts in scripts without spaces, which the tokenizer would take for one word: they are spaced out first. */
const UNSPACED_SCRIPTS = '*[\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f]*';

/** The statements that put chunks into a full-text table. */
export interface LexicalEntries {
  /** Entries that the engine cannot cut by itself; each is given to `insertUnspaced`. */
  readonly unspaced: RawBuilder<LexicalEntry>;
  /** All others. */
  insertSpaced(table: RawBuilder<unknown>): RawBuilder<unknown>;
  insertUnspaced(table: RawBuilder<unknown>, entry: LexicalEntry): RawBuilder<unknown>;
}

/** Of a chunk set, those chunks for which the condition on `chunks` holds. */
export function lexicalEntries(key: LexicalKey, condition: Expression<SqlBool>): LexicalEntries {
  const entries = sql`(
    select
      chunks.number as number,
      documents.title || char(10) || (
        select coalesce(group_concat(heading.value, char(10)), '') from json_each(chunks.heading_path_json) as heading
      ) as title,
      chunks.text as body
    from chunks
    join documents on documents.tenant_id = chunks.tenant_id and documents.id = chunks.document_id
    where chunks.tenant_id = ${key.tenantId} and chunks.bot_id = ${key.botId}
      and chunks.chunk_set = ${key.chunkSet} and ${condition}
  )`;
  const unspaced = sql<SqlBool>`(title || body) glob ${UNSPACED_SCRIPTS}`;
  return {
    unspaced: sql<LexicalEntry>`select number, title, body from ${entries} where ${unspaced} order by number`,
    insertSpaced: (table) => sql`insert into ${table} (rowid, title, body)
      select number, title, body from ${entries} where not ${unspaced} order by number`,
    insertUnspaced: (table, { number, title, body }) => sql`insert into ${table} (rowid, title, body)
      values (${number}, ${indexableText(title)}, ${indexableText(body)})`,
  };
}

/**
 * Gives what puts chunks of documents into the full-text table of a chunk set. While the set is small nothing has to be
 * done; when it has outgrown that, a table of all its chunks is made. Must run in a transaction.
 */
export async function openLexicalTable(
  database: Kysely<Schema>,
  key: LexicalKey,
  mostChunksWithoutTable: number,
): Promise<(documentIds: readonly string[]) => Promise<void>> {
  let table = await findLexicalTable(database, key);
  /** Chunks up to this number are in the table already. */
  let indexedUpTo = 0;

  return async (documentIds) => {
    if (table !== null) {
      const ofDocuments = sql<SqlBool>`chunks.number > ${indexedUpTo}
        and chunks.document_id in (select value from json_each(${JSON.stringify(documentIds)}))`;
      await insertEntries(database, table, lexicalEntries(key, ofDocuments));
      return;
    }
    if ((await countChunks(database, key, mostChunksWithoutTable + 1)) <= mostChunksWithoutTable) return;
    table = await createLexicalTable(database, key);
    indexedUpTo = await latestChunk(database, key);
    await insertEntries(database, table, lexicalEntries(key, sql<SqlBool>`true`));
  };
}

async function insertEntries(
  database: Kysely<Schema>,
  table: RawBuilder<unknown>,
  entries: LexicalEntries,
): Promise<void> {
  const [{ rows }] = await Promise.all([
    entries.unspaced.execute(database),
    entries.insertSpaced(table).execute(database),
  ]);
  for (const entry of rows) await entries.insertUnspaced(table, entry).execute(database);
}

async function countChunks(database: Kysely<Schema>, key: LexicalKey, most: number): Promise<number> {
  const { rows } = await sql<{ chunks: number }>`select count(*) as chunks from (
    select 1 from chunks where ${ofSet(key)} limit ${most}
  )`.execute(database);
  return rows[0]?.chunks ?? 0;
}

async function latestChunk(database: Kysely<Schema>, key: LexicalKey): Promise<number> {
  const { rows } = await sql<{ number: number | null }>`select max(number) as number from chunks
    where ${ofSet(key)}`.execute(database);
  return rows[0]?.number ?? 0;
}

function ofSet({ tenantId, botId, chunkSet }: LexicalKey): RawBuilder<SqlBool> {
  return sql<SqlBool>`tenant_id = ${tenantId} and bot_id = ${botId} and chunk_set = ${chunkSet}`;
}
