import { type Kysely, sql } from 'kysely';
import type { Schema } from '../../store/index.ts';
import { decodeWords, encodePostings, type Posting } from './postgres-lexical-bytes.ts';
import { isUnfolded, type LexicalIndexKey } from './postgres-lexical-tables.ts';
import { isOneOf } from './postgres-sql-dialect.ts';

/** Chunks whose words a search reads one by one; more are folded. */
const MOST_UNFOLDED = 256;
/** Keeps a backlog out of memory. */
const MOST_AT_ONCE = 1_000;
/** A part of a word's postings that is longer gets no more. */
const FULL_PART_BYTES = 1_000;

interface UnfoldedChunk {
  readonly chunk_number: number;
  readonly length: number;
  readonly words: Uint8Array;
}

/**
 * Moves the words of the new chunks to the postings when there are many. Must run in a transaction. When another is
 * folding the same index, that one does it, or the next.
 */
export async function foldLexicalIndex(database: Kysely<Schema>, key: LexicalIndexKey): Promise<void> {
  const index = key.number;
  const { rows: counted } = await sql<{ chunks: number }>`select count(*) as chunks from (
    select 1 from lexical_chunks where ${isUnfolded(index)} limit ${MOST_UNFOLDED + 1}
  ) as unfolded`.execute(database);
  if ((counted[0]?.chunks ?? 0) <= MOST_UNFOLDED) return;
  const { rows: locked } = await sql`select number from lexical_indexes where number = ${index}
    for no key update skip locked`.execute(database);
  if (locked.length === 0) return;
  // Locked one by one: what is being deleted at the moment is left where it is.
  const { rows: chunks } = await sql<UnfoldedChunk>`select chunk_number, length, words from lexical_chunks
    where ${isUnfolded(index)}
    limit ${MOST_AT_ONCE}
    for update skip locked`.execute(database);
  if (chunks.length === 0) return;
  await appendPostings(database, key, postingsOf(chunks));
  await sql`update lexical_chunks set words = null
    where index_number = ${index} and ${isOneOf(
      sql.ref('chunk_number'),
      chunks.map((row) => row.chunk_number),
    )}`.execute(database);
  await sql`update lexical_indexes set folded_chunks = folded_chunks + ${chunks.length},
      folded_length = folded_length + ${chunks.reduce((sum, { length }) => sum + length, 0)}
    where number = ${index}`.execute(database);
}

function postingsOf(chunks: readonly UnfoldedChunk[]): ReadonlyMap<string, readonly Posting[]> {
  const postings = new Map<string, Posting[]>();
  for (const { chunk_number: chunk, length, words } of chunks) {
    for (const [word, places] of decodeWords(words)) {
      const posting = { chunk, length, ...places };
      const known = postings.get(word);
      if (known === undefined) postings.set(word, [posting]);
      else known.push(posting);
    }
  }
  return postings;
}

async function appendPostings(
  database: Kysely<Schema>,
  { tenantId, number: index }: LexicalIndexKey,
  postings: ReadonlyMap<string, readonly Posting[]>,
): Promise<void> {
  const added = [...postings].map(([word, list]) => [word, Buffer.from(encodePostings(list)).toString('base64')]);
  // Materialized: row-level security keeps conditions that call what may leak, as `->>`, from the index.
  await sql`with added as materialized (
      select pair ->> 0 as word, decode(pair ->> 1, 'base64') as postings
      from json_array_elements(${JSON.stringify(added)}::json) as pair
    )
    insert into lexical_words (tenant_id, index_number, word, part, postings)
    select ${tenantId}, ${index}::bigint, added.word,
      case when last.part is null then 0 when last.bytes > ${FULL_PART_BYTES} then last.part + 1 else last.part end,
      added.postings
    from added
    left join lateral (
      select part, octet_length(postings) as bytes from lexical_words
      where index_number = ${index} and word = added.word
      order by part desc limit 1
    ) as last on true
    on conflict (index_number, word, part)
      do update set postings = lexical_words.postings || excluded.postings`.execute(database);
}
