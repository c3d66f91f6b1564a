import { type Kysely, sql } from 'kysely';
import type { BotKey, Schema } from '../../store/index.ts';
import { decodePostings, encodePostings } from './postgres-lexical-bytes.ts';
import { isOneOf } from './postgres-sql-dialect.ts';

/** Rows of postings that one step looks at. */
const ROWS_A_STEP = 1_000;

interface WordPart {
  readonly word: string;
  readonly part: number;
  readonly postings: Uint8Array;
}

/** Takes the words of removed chunks out of a bot's indexes, a few at a time, so that other writers get their turn. */
export async function purgeLexicalIndexes(database: Kysely<Schema>, bot: BotKey): Promise<void> {
  const { rows } = await sql<{ number: number }>`select number from lexical_indexes
    where tenant_id = ${bot.tenantId} and bot_id = ${bot.botId}`.execute(database);
  for (const { number } of rows) await purge(database, number);
}

async function purge(database: Kysely<Schema>, index: number): Promise<void> {
  const { rows } = await sql<{ chunk_number: number }>`select chunk_number from lexical_removed
    where index_number = ${index}`.execute(database);
  if (rows.length === 0) return;
  const removed = new Set(rows.map((row) => row.chunk_number));
  let last: Pick<WordPart, 'word' | 'part'> | null = { word: '', part: -1 };
  while (last !== null) {
    const after: Pick<WordPart, 'word' | 'part'> = last;
    last = await database.transaction().execute((transaction) => purgeStep(transaction, { index, removed, after }));
  }
  // Only now do they stop being left out of what a search reads.
  await sql`with gone as (
      delete from lexical_removed where index_number = ${index} and ${isOneOf(sql.ref('chunk_number'), [...removed])}
      returning length
    )
    update lexical_indexes set folded_chunks = folded_chunks - (select count(*) from gone),
      folded_length = folded_length - (select coalesce(sum(length), 0) from gone)
    where number = ${index}`.execute(database);
}

async function purgeStep(
  database: Kysely<Schema>,
  of: {
    readonly index: number;
    readonly removed: ReadonlySet<number>;
    readonly after: Pick<WordPart, 'word' | 'part'>;
  },
): Promise<Pick<WordPart, 'word' | 'part'> | null> {
  const { index, removed, after } = of;
  await sql`select number from lexical_indexes where number = ${index} for no key update`.execute(database);
  const { rows } = await sql<WordPart>`select word, part, postings from lexical_words
    where index_number = ${index} and (word, part) > (${after.word}, ${after.part}::integer)
    order by word, part
    limit ${ROWS_A_STEP}`.execute(database);
  const changed: [string, number, string][] = [];
  for (const { word, part, postings } of rows) {
    const known = decodePostings(postings);
    const kept = known.filter(({ chunk }) => !removed.has(chunk));
    if (kept.length === known.length) continue;
    changed.push([word, part, Buffer.from(encodePostings(kept)).toString('base64')]);
  }
  if (changed.length > 0) {
    await sql`with changed as (
        select item ->> 0 as word, (item ->> 1)::integer as part, decode(item ->> 2, 'base64') as postings
        from json_array_elements(${JSON.stringify(changed)}::json) as item
      ), emptied as (
        delete from lexical_words using changed
        where lexical_words.index_number = ${index} and lexical_words.word = changed.word
          and lexical_words.part = changed.part and octet_length(changed.postings) = 0
      )
      update lexical_words set postings = changed.postings from changed
      where lexical_words.index_number = ${index} and lexical_words.word = changed.word
        and lexical_words.part = changed.part and octet_length(changed.postings) > 0`.execute(database);
  }
  return rows.length < ROWS_A_STEP ? null : (rows.at(-1) ?? null);
}
