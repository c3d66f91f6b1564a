import { type Kysely, type RawBuilder, sql } from 'kysely';
import type { Schema } from '../../store/index.ts';
import type { LexicalNamespace } from '../../vector-store/index.ts';
import { findWords, type Posting, WantedWords } from './postgres-lexical-bytes.ts';
import type { LexicalHitsCache } from './postgres-lexical-cache.ts';
import { foldedHits, type TermHits, unfoldedHits } from './postgres-lexical-hits.ts';
import type { LexicalState } from './postgres-lexical-scoring.ts';
import { answeringChunkSet, isUnfolded } from './postgres-lexical-tables.ts';
import { textArray } from './postgres-sql-dialect.ts';

export interface LexicalReadingOptions {
  readonly cache: LexicalHitsCache;
  readonly titleWeight: number;
}

interface LexicalReading {
  readonly database: Kysely<Schema>;
  readonly bot: LexicalNamespace;
  /** The words of each term. */
  readonly phrases: readonly (readonly string[])[];
  /** Awaited between words. */
  readonly pause: () => Promise<void>;
}

interface StateRow {
  readonly kind: 'totals' | 'word' | 'chunk' | 'removed';
  /** The word, or the version of the index. */
  readonly word: string | null;
  readonly number: number | null;
  readonly length: number | null;
  readonly bytes: Uint8Array | null;
}

/**
 * Null when nothing was indexed yet. One statement, so that what is folded meanwhile is seen once. What the cache knows of the
 * version that the statement finds is not read again.
 *
 * The version is the row of the index: whatever changes what its words stand for writes this row in the same transaction. A purge
 * takes out postings before it, but only such of chunks that are among the removed until then.
 */
export async function readLexicalState(
  { cache, titleWeight }: LexicalReadingOptions,
  { database, bot, phrases, pause }: LexicalReading,
): Promise<LexicalState | null> {
  const last = cache.lastVersion(bot);
  const known = new Map<string, TermHits>();
  for (const phrase of phrases) {
    const hits = cache.get(last, termOf(phrase));
    if (hits !== undefined) known.set(termOf(phrase), hits);
  }
  const words = [...new Set(phrases.flat())];
  const unknown = [...new Set(phrases.filter((phrase) => !known.has(termOf(phrase))).flat())];
  const rows = await readRows(database, bot, { last, words, unknown });
  const read = sortRows(rows, words);
  if (read.version === null) return null;
  if (read.version !== last) known.clear();
  const added = new Map<string, TermHits>();
  for (const phrase of phrases) {
    if (known.has(termOf(phrase))) continue;
    const hits = foldedHits(read.folded, phrase, titleWeight);
    known.set(termOf(phrase), hits);
    added.set(termOf(phrase), hits);
    await pause();
  }
  cache.keep(bot, read.version, added);
  const none = foldedHits(new Map(), [], titleWeight);
  const { chunks, length, removed, unfolded } = read;
  const terms = phrases.map((phrase) => ({
    folded: known.get(termOf(phrase)) ?? none,
    unfolded: unfoldedHits(unfolded, phrase, titleWeight),
  }));
  return { chunks, length, removed, terms };
}

/** No word has a space in it. */
function termOf(phrase: readonly string[]): string {
  return phrase.join(' ');
}

async function readRows(
  database: Kysely<Schema>,
  bot: LexicalNamespace,
  { last, words, unknown }: Record<'words' | 'unknown', readonly string[]> & { readonly last: string },
): Promise<readonly StateRow[]> {
  const chunkSet: RawBuilder<string> = bot.chunkSet === undefined ? answeringChunkSet(bot) : sql`${bot.chunkSet}`;
  const index = sql`(select number from asked)`;
  // Where a row stands and which transaction wrote it (`ctid`, `xmin`) changes with every change of it.
  const { rows } = await sql<StateRow>`
    with asked as materialized (
      select number, folded_chunks, folded_length,
        concat_ws('.', number, folded_chunks, folded_length, xmin::text, ctid::text) as version
      from lexical_indexes
      where tenant_id = ${bot.tenantId} and bot_id = ${bot.botId} and chunk_set = ${chunkSet}
    )
    select 'totals' as kind, version as word, folded_chunks as number, folded_length as length, null::bytea as bytes
    from asked
    union all
    select 'word', word, null, null, string_agg(postings, ''::bytea order by part)
    from lexical_words
    where index_number = ${index} and word = any(
      case when (select version from asked) = ${last} then ${textArray(unknown)} else ${textArray(words)} end
    )
    group by word
    union all
    select 'chunk', null, chunk_number, length, words
    from lexical_chunks where ${isUnfolded(index)}
    union all
    select 'removed', null, chunk_number, length, null
    from lexical_removed where index_number = ${index}`.execute(database);
  return rows;
}

/** What was read, with the postings of each word: encoded, and those in chunks that are not folded. */
interface ReadState extends Pick<LexicalState, 'chunks' | 'length' | 'removed'> {
  readonly version: string | null;
  readonly folded: ReadonlyMap<string, Uint8Array>;
  readonly unfolded: ReadonlyMap<string, readonly Posting[]>;
}

function sortRows(rows: readonly StateRow[], words: readonly string[]): ReadState {
  const wanted = new WantedWords(words);
  const folded = new Map<string, Uint8Array>();
  const unfolded = new Map<string, Posting[]>();
  const removed = new Set<number>();
  let version: string | null = null;
  let [chunks, total] = [0, 0];
  for (const row of rows) {
    const number = row.number ?? 0;
    const length = row.length ?? 0;
    switch (row.kind) {
      case 'totals':
        version = row.word;
        chunks += number;
        total += length;
        break;
      case 'word':
        if (row.word !== null && row.bytes !== null) folded.set(row.word, row.bytes);
        break;
      case 'chunk':
        chunks += 1;
        total += length;
        for (const [word, places] of findWords(row.bytes ?? new Uint8Array(), wanted)) {
          const known = unfolded.get(word) ?? [];
          known.push({ chunk: number, length, ...places });
          unfolded.set(word, known);
        }
        break;
      case 'removed':
        chunks -= 1;
        total -= length;
        removed.add(number);
    }
  }
  return { version, chunks, length: total, folded, unfolded, removed };
}
