import { type Kysely, sql } from 'kysely';
import type { Schema } from '../../store/index.ts';
import type { LexicalNamespace } from '../../vector-store/index.ts';
import { findWords, type Posting, WantedWords } from './postgres-lexical-bytes.ts';
import { answeringChunkSet, isUnfolded } from './postgres-lexical-tables.ts';
import { isOneOf } from './postgres-sql-dialect.ts';

/** What an index knows of some words, at one moment. */
export interface LexicalState {
  /** Chunks in the index, and the words of all of them together. */
  readonly chunks: number;
  readonly length: number;
  /** Encoded postings of each word; they may name removed chunks. */
  readonly folded: ReadonlyMap<string, Uint8Array>;
  /** Postings of each word in chunks that are not folded. */
  readonly unfolded: ReadonlyMap<string, readonly Posting[]>;
  readonly removed: ReadonlySet<number>;
}

interface StateRow {
  readonly kind: 'totals' | 'word' | 'chunk' | 'removed';
  readonly word: string | null;
  readonly number: number | null;
  readonly length: number | null;
  readonly bytes: Uint8Array | null;
}

/** Null when nothing was indexed yet. One statement, so that what is folded meanwhile is seen once. */
export async function readLexicalState(
  database: Kysely<Schema>,
  bot: LexicalNamespace,
  phrases: readonly (readonly string[])[],
): Promise<LexicalState | null> {
  const words = [...new Set(phrases.flat())];
  const chunkSet = bot.chunkSet === undefined ? answeringChunkSet(bot) : sql<string>`${bot.chunkSet}`;
  const index = sql`(select number from lexical_indexes
    where tenant_id = ${bot.tenantId} and bot_id = ${bot.botId} and chunk_set = ${chunkSet})`;
  const { rows } = await sql<StateRow>`
    select 'totals' as kind, null::text as word, folded_chunks as number, folded_length as length, null::bytea as bytes
    from lexical_indexes where number = ${index}
    union all
    select 'word', word, null, null, string_agg(postings, ''::bytea order by part)
    from lexical_words
    where index_number = ${index} and ${isOneOf(sql.ref('word'), words)}
    group by word
    union all
    select 'chunk', null, chunk_number, length, words
    from lexical_chunks where ${isUnfolded(index)}
    union all
    select 'removed', null, chunk_number, length, null
    from lexical_removed where index_number = ${index}`.execute(database);
  return toState(rows, words);
}

function toState(rows: readonly StateRow[], words: readonly string[]): LexicalState | null {
  const wanted = new WantedWords(words);
  const folded = new Map<string, Uint8Array>();
  const unfolded = new Map<string, Posting[]>();
  const removed = new Set<number>();
  let isThere = false;
  let [chunks, total] = [0, 0];
  for (const row of rows) {
    const number = row.number ?? 0;
    const length = row.length ?? 0;
    switch (row.kind) {
      case 'totals':
        isThere = true;
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
  return isThere ? { chunks, length: total, folded, unfolded, removed } : null;
}
