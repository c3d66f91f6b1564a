import { type Kysely, type RawBuilder, sql } from 'kysely';
import { type BotKey, FIRST_CHUNK_SET, type Schema } from '../../store/index.ts';

/**
 * The full-text tables of each bot, one a chunk set. A table per bot keeps the weight of a word (its rarity) the bot's
 * own, and keeps anything of one tenant out of another's scores; the same holds for one set and another.
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

/** The name of a full-text table; null when nothing was indexed yet. */
export async function findLexicalTable(
  database: Kysely<Schema>,
  key: WantedLexicalKey,
): Promise<RawBuilder<unknown> | null> {
  const row = await database
    .withTables<LexicalSchema>()
    .selectFrom('lexical_indexes')
    .select('number')
    .where('tenant_id', '=', key.tenantId)
    .where('bot_id', '=', key.botId)
    .where('chunk_set', '=', key.chunkSet ?? answeringSetOf(key))
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
export async function findOrCreateLexicalTable(
  database: Kysely<Schema>,
  key: LexicalKey,
): Promise<RawBuilder<unknown>> {
  const found = await findLexicalTable(database, key);
  if (found !== null) return found;
  const { rows } = await sql<{ number: number }>`insert into lexical_indexes (tenant_id, bot_id, chunk_set)
    values (${key.tenantId}, ${key.botId}, ${key.chunkSet}) returning number`.execute(database);
  const table = tableName(rows[0]?.number ?? 0);
  await sql`create virtual table ${table} using fts5(
    title, body, content = '', contentless_delete = 1, tokenize = 'porter unicode61 remove_diacritics 2'
  )`.execute(database);
  return table;
}

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
