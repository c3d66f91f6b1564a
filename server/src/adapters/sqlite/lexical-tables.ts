import { type Kysely, type RawBuilder, sql } from 'kysely';
import type { BotKey, Schema } from '../../store/index.ts';

/**
 * The full-text table of each bot. A table per bot keeps the weight of a word (its rarity) the bot's own, and keeps
 * anything of one tenant out of another's scores.
 */
type LexicalSchema = {
  lexical_indexes: { number: number; tenant_id: string; bot_id: string };
};

export async function createLexicalIndexesTable(database: Kysely<Schema>): Promise<void> {
  await sql`create table lexical_indexes (
    number integer primary key autoincrement, tenant_id text not null, bot_id text not null, unique (tenant_id, bot_id)
  )`.execute(database);
}

/** The name of a bot's full-text table; null when nothing was indexed yet. */
export async function findLexicalTable(database: Kysely<Schema>, bot: BotKey): Promise<RawBuilder<unknown> | null> {
  const row = await database
    .withTables<LexicalSchema>()
    .selectFrom('lexical_indexes')
    .select('number')
    .where('tenant_id', '=', bot.tenantId)
    .where('bot_id', '=', bot.botId)
    .executeTakeFirst();
  return row === undefined ? null : tableName(row.number);
}

/** Must run in a transaction. */
export async function findOrCreateLexicalTable(database: Kysely<Schema>, bot: BotKey): Promise<RawBuilder<unknown>> {
  const found = await findLexicalTable(database, bot);
  if (found !== null) return found;
  const { rows } = await sql<{ number: number }>`insert into lexical_indexes (tenant_id, bot_id)
    values (${bot.tenantId}, ${bot.botId}) returning number`.execute(database);
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
  const row = await database
    .withTables<LexicalSchema>()
    .selectFrom('lexical_indexes')
    .select('number')
    .where('tenant_id', '=', bot.tenantId)
    .where('bot_id', '=', bot.botId)
    .executeTakeFirst();
  if (row === undefined) return;
  const table = tableName(row.number);
  const command = sql.ref(`lexical_index_${row.number}`);
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
  owner: { readonly tenantId: string; readonly botId?: string },
): Promise<void> {
  const { botId } = owner;
  const indexes = await database
    .withTables<LexicalSchema>()
    .deleteFrom('lexical_indexes')
    .where('tenant_id', '=', owner.tenantId)
    .$if(botId !== undefined, (query) => query.where('bot_id', '=', botId ?? ''))
    .returning('number')
    .execute();
  for (const { number } of indexes) await sql`drop table ${tableName(number)}`.execute(database);
}

function tableName(number: number): RawBuilder<unknown> {
  return sql.table(`lexical_index_${number}`);
}
