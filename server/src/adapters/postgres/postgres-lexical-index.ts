import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Expression, type Kysely, type SqlBool, sql } from 'kysely';
import type { Schema } from '../../store/index.ts';
import type { LexicalIndex, LexicalNamespace, ScoredChunk, SearchFilter } from '../../vector-store/index.ts';
import { createLexicalHitsCache } from './postgres-lexical-cache.ts';
import { lexicalWords } from './postgres-lexical-dialect.ts';
import { readLexicalState } from './postgres-lexical-reading.ts';
import { bestOf, type LexicalState, scoresOf } from './postgres-lexical-scoring.ts';
import { isOneOf } from './postgres-sql-dialect.ts';

export interface PostgresLexicalIndexOptions {
  readonly databases: {
    /** The second with `LEXICAL_SETTINGS`. */
    ofTenant(tenantId: string): { readonly database: Kysely<Schema>; readonly words: Kysely<Schema> };
  };
  /** How much more a word in the title or a heading counts than one in the text. */
  readonly titleWeight: number;
}

/**
 * How words are read. Only scans that go by the index itself mark entries of rows that are gone, so that the next one passes them by
 * before the database has cleaned up.
 */
export const LEXICAL_SETTINGS: Readonly<Record<string, string>> = { enable_bitmapscan: 'off', jit: 'off' };

const MOST_TERMS = 256;
/** Chunks beyond the limit that are looked up at first: some may be of documents that are not searchable. */
const SPARE = 20;
const GROWTH = 5;
const LONGEST_TURN_MS = 4;

/**
 * BM25 (Robertson and Zaragoza, 2009) with k1 = 1.2 and b = 0.75 over stemmed words without diacritics, with the figures of
 * SQLite's FTS5: the same content gives the same scores on both engines. Any text is safe as a term; a term of several words must
 * occur as a phrase. At most 256 different terms of a query count. PostgreSQL finds and joins the postings of the words; they are
 * scored here, because its own ranking (`ts_rank`) knows no rarity of words.
 */
export function createPostgresLexicalIndex({ databases, titleWeight }: PostgresLexicalIndexOptions): LexicalIndex {
  const cache = createLexicalHitsCache();

  async function read(
    bot: LexicalNamespace,
    terms: readonly string[],
    pause: () => Promise<void>,
  ): Promise<LexicalState | null> {
    const phrases = phrasesOf(terms);
    if (phrases.length === 0) return null;
    const { words } = databases.ofTenant(bot.tenantId);
    return readLexicalState({ cache, titleWeight }, { database: words, bot, phrases, pause });
  }

  return {
    async search(bot, { terms, limit, filter }, signal) {
      signal?.throwIfAborted();
      if (limit < 1 || filter?.sourceIds?.length === 0) return [];
      const pause = createPauses(signal);
      const state = await read(bot, terms, pause);
      signal?.throwIfAborted();
      if (state === null) return [];
      const found: ScoredChunk[] = [];
      let seen = 0;
      // Chunks and documents are looked up for the best alone; for more when a filter leaves few of them.
      for (let wanted = limit + SPARE; ; wanted *= GROWTH) {
        const best = await bestOf(state, wanted, pause);
        const scores = new Map(best.slice(seen).map(({ chunk, score }) => [chunk, score]));
        if (scores.size > 0) found.push(...named(scores, await searchableIds(bot, [...scores.keys()], filter)));
        signal?.throwIfAborted();
        if (found.length >= limit || best.length < wanted) return inOrder(found).slice(0, limit);
        seen = best.length;
      }
    },
    async score(bot, { terms, chunkIds }, signal) {
      signal?.throwIfAborted();
      if (chunkIds.length === 0) return [];
      const [state, ids] = await Promise.all([read(bot, terms, createPauses(signal)), numbersOf(bot, chunkIds)]);
      signal?.throwIfAborted();
      return state === null ? [] : inOrder(named(scoresOf(state, ids.keys()), ids));
    },
  };

  function searchableIds(
    bot: LexicalNamespace,
    chunks: readonly number[],
    filter: SearchFilter | undefined,
  ): Promise<ReadonlyMap<number, string>> {
    const ofSources =
      filter?.sourceIds === undefined ? sql<SqlBool>`true` : isOneOf(sql.ref('chunks.source_id'), filter.sourceIds);
    return readIds(bot, isOneOf(sql.ref('number'), chunks), ofSources);
  }

  function numbersOf(bot: LexicalNamespace, chunkIds: readonly string[]): Promise<ReadonlyMap<number, string>> {
    return readIds(bot, isOneOf(sql.ref('id'), chunkIds));
  }

  /**
   * Row numbers with ids, of searchable documents. The chunks are looked up first and by nothing else: a planner without figures of
   * how much the tenant has would read all of it instead.
   */
  async function readIds(
    { tenantId }: LexicalNamespace,
    wanted: Expression<SqlBool>,
    condition: Expression<SqlBool> = sql<SqlBool>`true`,
  ): Promise<ReadonlyMap<number, string>> {
    const { rows } = await sql<{ number: number; id: string }>`with found as materialized (
        select number, id, tenant_id, source_id, document_id from chunks where ${wanted}
      )
      select chunks.number, chunks.id from found as chunks
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

function named(scores: ReadonlyMap<number, number>, ids: ReadonlyMap<number, string>): readonly ScoredChunk[] {
  return [...scores].flatMap(([chunk, score]) => {
    const chunkId = ids.get(chunk);
    return chunkId === undefined ? [] : [{ chunkId, score }];
  });
}

/** Gives other work its turn when the last was some milliseconds ago. */
function createPauses(signal: AbortSignal | undefined): () => Promise<void> {
  let startedAt = performance.now();
  return async () => {
    if (performance.now() - startedAt < LONGEST_TURN_MS) return;
    await nextTurn();
    signal?.throwIfAborted();
    startedAt = performance.now();
  };
}

function inOrder(chunks: readonly ScoredChunk[]): ScoredChunk[] {
  return [...chunks].sort((one, other) => other.score - one.score || (one.chunkId < other.chunkId ? -1 : 1));
}
