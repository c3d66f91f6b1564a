import { type Expression, type Kysely, type SqlBool, sql } from 'kysely';
import type { Schema } from '../../store/index.ts';
import type { LexicalIndex, LexicalNamespace, ScoredChunk, SearchFilter } from '../../vector-store/index.ts';
import { lexicalWords } from './postgres-lexical-dialect.ts';
import { readLexicalState } from './postgres-lexical-reading.ts';
import { bestOf, scoresOf } from './postgres-lexical-scoring.ts';
import { isOneOf } from './postgres-sql-dialect.ts';

export interface PostgresLexicalIndexOptions {
  readonly databases: { ofTenant(tenantId: string): { readonly database: Kysely<Schema> } };
  /** How much more a word in the title or a heading counts than one in the text. */
  readonly titleWeight: number;
}

const MOST_TERMS = 256;
/** Chunks beyond the limit that are looked up at first: some may be of documents that are not searchable. */
const SPARE = 20;
const GROWTH = 5;

/**
 * BM25 (Robertson and Zaragoza, 2009) with k1 = 1.2 and b = 0.75 over stemmed words without diacritics, with the figures of
 * SQLite's FTS5: the same content gives the same scores on both engines. Any text is safe as a term; a term of several words must
 * occur as a phrase. At most 256 different terms of a query count. PostgreSQL finds and joins the postings of the words; they are
 * scored here, because its own ranking (`ts_rank`) knows no rarity of words.
 */
export function createPostgresLexicalIndex({ databases, titleWeight }: PostgresLexicalIndexOptions): LexicalIndex {
  async function score(
    bot: LexicalNamespace,
    terms: readonly string[],
    signal: AbortSignal | undefined,
  ): Promise<ReadonlyMap<number, number>> {
    const phrases = phrasesOf(terms);
    if (phrases.length === 0) return new Map();
    const state = await readLexicalState(databases.ofTenant(bot.tenantId).database, bot, phrases);
    signal?.throwIfAborted();
    return state === null ? new Map() : scoresOf(state, phrases, titleWeight);
  }

  return {
    async search(bot, { terms, limit, filter }, signal) {
      signal?.throwIfAborted();
      if (limit < 1 || filter?.sourceIds?.length === 0) return [];
      const scores = await score(bot, terms, signal);
      const found: ScoredChunk[] = [];
      let seen = 0;
      // Chunks and documents are looked up for the best alone; for more when a filter leaves few of them.
      for (let wanted = limit + SPARE; seen < scores.size && found.length < limit; wanted *= GROWTH) {
        const best = bestOf(scores, wanted).slice(seen);
        const ids = await searchableIds(bot, best, filter);
        signal?.throwIfAborted();
        for (const chunk of best) found.push(...scored(chunk, ids, scores));
        seen += best.length;
      }
      return inOrder(found).slice(0, limit);
    },
    async score(bot, { terms, chunkIds }, signal) {
      signal?.throwIfAborted();
      if (chunkIds.length === 0) return [];
      const [scores, ids] = await Promise.all([score(bot, terms, signal), numbersOf(bot, chunkIds)]);
      signal?.throwIfAborted();
      return inOrder([...ids.keys()].flatMap((chunk) => scored(chunk, ids, scores)));
    },
  };

  function searchableIds(
    bot: LexicalNamespace,
    chunks: readonly number[],
    filter: SearchFilter | undefined,
  ): Promise<ReadonlyMap<number, string>> {
    const ofSources =
      filter?.sourceIds === undefined ? sql<SqlBool>`true` : isOneOf(sql.ref('chunks.source_id'), filter.sourceIds);
    return readIds(bot, sql`${isOneOf(sql.ref('chunks.number'), chunks)} and ${ofSources}`);
  }

  function numbersOf(bot: LexicalNamespace, chunkIds: readonly string[]): Promise<ReadonlyMap<number, string>> {
    return readIds(bot, isOneOf(sql.ref('chunks.id'), chunkIds));
  }

  /** Row numbers with ids, of searchable documents. */
  async function readIds(
    { tenantId }: LexicalNamespace,
    condition: Expression<unknown>,
  ): Promise<ReadonlyMap<number, string>> {
    const { rows } = await sql<{ number: number; id: string }>`select chunks.number, chunks.id from chunks
      join documents on documents.tenant_id = chunks.tenant_id and documents.id = chunks.document_id
      where chunks.tenant_id = ${tenantId} and documents.state = 'searchable' and ${condition}`.execute(
      databases.ofTenant(tenantId).database,
    );
    return new Map(rows.map(({ number, id }) => [number, id]));
  }
}

/** The words of each term: one, or several that must stand together. */
function phrasesOf(terms: readonly string[]): readonly (readonly string[])[] {
  const distinct = [...new Set(terms.map((term) => term.trim()).filter((term) => term !== ''))].slice(0, MOST_TERMS);
  return distinct.map(lexicalWords).filter((words) => words.length > 0);
}

function scored(
  chunk: number,
  ids: ReadonlyMap<number, string>,
  scores: ReadonlyMap<number, number>,
): readonly ScoredChunk[] {
  const [chunkId, score] = [ids.get(chunk), scores.get(chunk)];
  return chunkId === undefined || score === undefined ? [] : [{ chunkId, score }];
}

function inOrder(chunks: readonly ScoredChunk[]): ScoredChunk[] {
  return [...chunks].sort((one, other) => other.score - one.score || (one.chunkId < other.chunkId ? -1 : 1));
}
