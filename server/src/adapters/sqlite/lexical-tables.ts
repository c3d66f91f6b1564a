import { type Kysely, type RawBuilder, type SqlBool, sql } from 'kysely';
import { type BotKey, FIRST_CHUNK_SET, type Schema } from '../../store/index.ts';

/**
 * The full-text tables of each bot, one a chunk set. A table per bot keeps the weight of a word (its rarity) the bot's
 * own, and keeps anything of one tenant out of another's scores; the same holds for one set and another. Small chunk
 * sets have none: see `createSmallLexicalIndexes`.
 */
type LexicalSchema = {
  lexical_indexes: { number: number; tenant_id: string; bot_id: string; chunk_set: string };
};

/** What one full-text table is for. */
export type LexicalKey = BotKey & { readonly chunkSet: string };

/** Without a chunk set: the one that answers. */
type WantedLexicalKey = BotKey & { readonly chunkSet?: string };

export async function createLexicalIndexesTable(database: Kysely<Schema>): Promise<void> {
  await sql`create table lexical_indexes (
    number integer primary key autoincrement, tenant_id text not null, bot_id text not null, unique (tenant_id, bot_id)
  )`.execute(database);
}

/** Adds the chunk set to the table of tables, whose rows are of the given set so far. */
export async function addChunkSets(database: Kysely<Schema>, firstSet: string): Promise<void> {
  await sql`create table lexical_indexes_by_set (
    number integer primary key autoincrement, tenant_id text not null, bot_id text not null, chunk_set text not null,
    unique (tenant_id, bot_id, chunk_set)
  )`.execute(database);
  await sql`insert into lexical_indexes_by_set (number, tenant_id, bot_id, chunk_set)
    select number, tenant_id, bot_id, ${firstSet} from lexical_indexes`.execute(database);
  await sql`drop table lexical_indexes`.execute(database);
  await sql`alter table lexical_indexes_by_set rename to lexical_indexes`.execute(database);
}

/** Where the words of a chunk set are: in a table of its own, or, of a small one, only in its chunks. */
export type LexicalPlace =
  | { readonly type: 'table'; readonly table: RawBuilder<unknown> }
  | { readonly type: 'chunks'; readonly key: LexicalKey; readonly version: string };

/**
 * Null when there is nothing to search. The version of chunks changes with them: they are never changed themselves, and
 * their numbers only grow.
 */
export async function findLexicalPlace(database: Kysely<Schema>, key: WantedLexicalKey): Promise<LexicalPlace | null> {
  const ofSet = sql<SqlBool>`chunks.tenant_id = ${key.tenantId} and chunks.bot_id = ${key.botId}
    and chunks.chunk_set = wanted.chunk_set and lexical_indexes.number is null`;
  const { rows } = await sql<{ chunk_set: string; number: number | null; chunks: number; latest: number | null }>`
    select wanted.chunk_set as chunk_set, lexical_indexes.number as number,
      (select count(*) from chunks where ${ofSet}) as chunks, (select max(chunks.number) from chunks where ${ofSet}) as latest
    from (select ${key.chunkSet ?? answeringSetOf(key)} as chunk_set) as wanted
    left join lexical_indexes on lexical_indexes.tenant_id = ${key.tenantId} and lexical_indexes.bot_id = ${key.botId}
      and lexical_indexes.chunk_set = wanted.chunk_set`.execute(database);
  const [row] = rows;
  if (row === undefined) return null;
  if (row.number !== null) return { type: 'table', table: tableName(row.number) };
  if (row.latest === null) return null;
  const { tenantId, botId } = key;
  return {
    type: 'chunks',
    key: { tenantId, botId, chunkSet: row.chunk_set },
    version: `${row.chunks} ${row.latest}`,
  };
}

/** The full-text table of a chunk set; null when it has none. */
export async function findLexicalTable(database: Kysely<Schema>, key: LexicalKey): Promise<RawBuilder<unknown> | null> {
  const row = await database
    .withTables<LexicalSchema>()
    .selectFrom('lexical_indexes')
    .select('number')
    .where('tenant_id', '=', key.tenantId)
    .where('bot_id', '=', key.botId)
    .where('chunk_set', '=', key.chunkSet)
    .executeTakeFirst();
  return row === undefined ? null : tableName(row.number);
}

/** The names of a bot's full-text tables, of all its chunk sets. */
export async function findLexicalTables(
  database: Kysely<Schema>,
  bot: BotKey,
): Promise<readonly RawBuilder<unknown>[]> {
  return (await findLexicalNumbers(database, bot)).map(tableName);
}

async function findLexicalNumbers(database: Kysely<Schema>, bot: BotKey): Promise<readonly number[]> {
  const rows = await database
    .withTables<LexicalSchema>()
    .selectFrom('lexical_indexes')
    .select('number')
    .where('tenant_id', '=', bot.tenantId)
    .where('bot_id', '=', bot.botId)
    .execute();
  return rows.map(({ number }) => number);
}

/** Must run in a transaction. */
export async function createLexicalTable(database: Kysely<Schema>, key: LexicalKey): Promise<RawBuilder<unknown>> {
  const { rows } = await sql<{ number: number }>`insert into lexical_indexes (tenant_id, bot_id, chunk_set)
    values (${key.tenantId}, ${key.botId}, ${key.chunkSet}) returning number`.execute(database);
  const table = tableName(rows[0]?.number ?? 0);
  await sql`create virtual table ${table} using ${LEXICAL_MODULE}`.execute(database);
  return table;
}

/** How words are cut and kept, in every full-text table. */
export const LEXICAL_MODULE = sql`fts5(
    title, body, content = '', contentless_delete = 1, tokenize = 'porter unicode61 remove_diacritics 2'
  )`;

/** Pages that one step of merging writes at most, and how many steps there may be. */
const PAGES_A_STEP = 64;
const MOST_STEPS = 5_000;

/**
 * FTS5 marks what is deleted and keeps its words until segments are merged: merges all of them into one, a little at a
 * time, so that other writers get their turn.
 */
export async function purgeLexicalTable(database: Kysely<Schema>, bot: BotKey): Promise<void> {
  for (const number of await findLexicalNumbers(database, bot)) await purgeTable(database, number);
}

async function purgeTable(database: Kysely<Schema>, number: number): Promise<void> {
  const table = tableName(number);
  const command = sql.ref(`lexical_index_${number}`);
  for (let step = 0; step < MOST_STEPS; step += 1) {
    const work = database.transaction().execute(async (transaction) => {
      const before = await totalChanges(transaction);
      await sql`insert into ${table} (${command}, rank) values ('merge', ${-PAGES_A_STEP})`.execute(transaction);
      return (await totalChanges(transaction)) - before;
    });
    if ((await work) < 2) return;
  }
}

async function totalChanges(database: Kysely<Schema>): Promise<number> {
  const { rows } = await sql<{ changes: number }>`select total_changes() as changes`.execute(database);
  return rows[0]?.changes ?? 0;
}

/** Must run in a transaction. */
export async function dropLexicalTables(
  database: Kysely<Schema>,
  owner: { readonly tenantId: string; readonly botId?: string; readonly chunkSet?: string },
): Promise<void> {
  const { botId, chunkSet } = owner;
  const indexes = await database
    .withTables<LexicalSchema>()
    .deleteFrom('lexical_indexes')
    .where('tenant_id', '=', owner.tenantId)
    .$if(botId !== undefined, (query) => query.where('bot_id', '=', botId ?? ''))
    .$if(chunkSet !== undefined, (query) => query.where('chunk_set', '=', chunkSet ?? ''))
    .returning('number')
    .execute();
  for (const { number } of indexes) await sql`drop table ${tableName(number)}`.execute(database);
}

function tableName(number: number): RawBuilder<unknown> {
  return sql.table(`lexical_index_${number}`);
}

function answeringSetOf({ tenantId, botId }: BotKey): RawBuilder<string> {
  return sql<string>`coalesce((
    select chunk_set from index_generations
    where tenant_id = ${tenantId} and bot_id = ${botId} and state = 'active'
  ), ${FIRST_CHUNK_SET})`;
}
