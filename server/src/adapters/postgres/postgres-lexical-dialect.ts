import { type Kysely, sql } from 'kysely';
import type { BotKey, Schema } from '../../store/index.ts';
import { indexableWords } from '../../vector-store/index.ts';
import { encodeWords } from './postgres-lexical-bytes.ts';
import { foldLexicalIndex } from './postgres-lexical-folding.ts';
import { purgeLexicalIndexes } from './postgres-lexical-purge.ts';
import { stemOf } from './postgres-lexical-stems.ts';
import { createLexicalTables, type LexicalIndexKey } from './postgres-lexical-tables.ts';
import { isOneOf, type LexicalSqlDialect } from './postgres-sql-dialect.ts';

/** Longer ones are equal when they begin equally: an entry of a database's index has a limit. */
const LONGEST_WORD = 100;
const CHUNKS_AT_ONCE = 200;

/** Keeps the tables that `createPostgresLexicalIndex` reads. */
export const postgresLexicalDialect: LexicalSqlDialect = {
  createLexicalTables,
  // They have been divided from the beginning.
  divideLexicalTables: async () => {},
  async openLexicalIndex(database, index) {
    const key = { tenantId: index.tenantId, number: await findOrCreateIndex(database, index) };
    return async (documentIds) => {
      let last = 0;
      for (;;) {
        const chunks = await readChunks(database, { ...index, documentIds, after: last });
        if (chunks.length === 0) return;
        await insertChunks(database, key, chunks);
        await foldLexicalIndex(database, key);
        if (chunks.length < CHUNKS_AT_ONCE) return;
        last = chunks.at(-1)?.number ?? last;
      }
    };
  },
  unindexDocuments,
  purgeLexicalIndex: purgeLexicalIndexes,
  async dropLexicalIndexes(database, { tenantId, botId, chunkSet }) {
    const ofBot = botId === undefined ? sql`true` : sql`bot_id = ${botId}`;
    const ofSet = chunkSet === undefined ? sql`true` : sql`chunk_set = ${chunkSet}`;
    await sql`delete from lexical_indexes where tenant_id = ${tenantId} and ${ofBot} and ${ofSet}`.execute(database);
  },
};

/** The words of a text as the index has them. */
export function lexicalWords(text: string): string[] {
  return indexableWords(text).map((word) => shortened(stemOf(word)));
}

function shortened(word: string): string {
  return word.length <= LONGEST_WORD ? word : [...word].slice(0, LONGEST_WORD).join('');
}

async function findOrCreateIndex(
  database: Kysely<Schema>,
  { tenantId, botId, chunkSet }: BotKey & { readonly chunkSet: string },
): Promise<number> {
  const find = sql<{ number: number }>`select number from lexical_indexes
    where tenant_id = ${tenantId} and bot_id = ${botId} and chunk_set = ${chunkSet}`;
  const found = (await find.execute(database)).rows[0];
  if (found !== undefined) return found.number;
  await sql`insert into lexical_indexes (tenant_id, bot_id, chunk_set) values (${tenantId}, ${botId}, ${chunkSet})
    on conflict do nothing`.execute(database);
  return (await find.execute(database)).rows[0]?.number ?? 0;
}

interface Places {
  readonly title: number[];
  readonly body: number[];
}

interface ChunkText {
  readonly number: number;
  readonly title: string;
  readonly body: string;
}

async function readChunks(
  database: Kysely<Schema>,
  of: BotKey & { readonly chunkSet: string; readonly documentIds: readonly string[]; readonly after: number },
): Promise<readonly ChunkText[]> {
  const { rows } = await sql<{ number: number; document_title: string; heading_path_json: string; body: string }>`
    select chunks.number, documents.title as document_title, chunks.heading_path_json, chunks.text as body
    from documents
    join chunks on chunks.tenant_id = documents.tenant_id and chunks.document_id = documents.id
    where documents.tenant_id = ${of.tenantId} and documents.bot_id = ${of.botId}
      and chunks.chunk_set = ${of.chunkSet} and chunks.number > ${of.after}
      and ${isOneOf(sql.ref('documents.id'), of.documentIds)}
    order by chunks.number
    limit ${CHUNKS_AT_ONCE}`.execute(database);
  return rows.map((row) => ({
    number: row.number,
    title: [row.document_title, ...(JSON.parse(row.heading_path_json) as string[])].join('\n'),
    body: row.body,
  }));
}

async function insertChunks(
  database: Kysely<Schema>,
  index: LexicalIndexKey,
  chunks: readonly ChunkText[],
): Promise<void> {
  const rows = chunks.map(({ number, title, body }) => {
    const places = new Map<string, Places>();
    const inTitle = lexicalWords(title);
    const inBody = lexicalWords(body);
    inTitle.forEach((word, place) => void placesOf(places, word).title.push(place));
    inBody.forEach((word, place) => void placesOf(places, word).body.push(place));
    const words = encodeWords(places);
    return sql`(${index.tenantId}, ${index.number}, ${number}, ${inTitle.length + inBody.length}, ${words})`;
  });
  await sql`insert into lexical_chunks (tenant_id, index_number, chunk_number, length, words) values ${sql.join(rows)}
    on conflict do nothing`.execute(database);
}

function placesOf(known: Map<string, Places>, word: string): Places {
  const places = known.get(word) ?? { title: [], body: [] };
  known.set(word, places);
  return places;
}

/** What is folded is remembered until a purge takes its words out; row numbers are never used twice. */
async function unindexDocuments(
  database: Kysely<Schema>,
  tenantId: string,
  documentIds: readonly string[],
): Promise<void> {
  const { rows } = await sql<{ number: number }>`select number from chunks
    where tenant_id = ${tenantId} and ${isOneOf(sql.ref('document_id'), documentIds)}`.execute(database);
  if (rows.length === 0) return;
  await sql`with gone as (
      delete from lexical_chunks
      where index_number in (select number from lexical_indexes where tenant_id = ${tenantId})
        and ${isOneOf(
          sql.ref('chunk_number'),
          rows.map(({ number }) => number),
        )}
      returning index_number, chunk_number, length, words is null as folded
    )
    insert into lexical_removed (tenant_id, index_number, chunk_number, length)
    select ${tenantId}, index_number, chunk_number, length from gone where folded`.execute(database);
}
