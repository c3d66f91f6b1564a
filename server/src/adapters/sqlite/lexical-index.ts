import { type Kysely, type RawBuilder, type SqlBool, sql } from 'kysely';
import type { Schema } from '../../store/index.ts';
import type { LexicalIndex, ScoredChunk } from '../../vector-store/index.ts';
import { findLexicalPlace, type LexicalPlace } from './lexical-tables.ts';
import type { SmallLexicalIndexes } from './small-lexical-indexes.ts';
import { failureOf } from './sqlite-failure.ts';

export interface SqliteLexicalIndexOptions {
  readonly database: Kysely<Schema>;
  /** Null where every chunk set has a full-text table. */
  readonly small: SmallLexicalIndexes | null;
  /** How much more a word in the title or a heading counts than one in the text. */
  readonly titleWeight: number;
}

const MAX_TERMS = 256;

/**
 * BM25 (Robertson and Zaragoza, 2009) through FTS5, with SQLite's k1 = 1.2 and b = 0.75, over stemmed words without
 * diacritics. Any text is safe as a term; a term of several words must occur as a phrase. At most 256 different terms
 * of a query count.
 */
export function createSqliteLexicalIndex({ database, small, titleWeight }: SqliteLexicalIndexOptions): LexicalIndex {
  const ranking = `bm25(${titleWeight}, 1.0)`;

  return {
    async search(bot, { terms, limit, filter }, signal) {
      signal?.throwIfAborted();
      const match = toMatchExpression(terms);
      const sourceIds = filter?.sourceIds;
      const place = await findLexicalPlace(database, bot);
      if (place === null || match === null || limit < 1 || sourceIds?.length === 0) return [];
      const ofSources =
        sourceIds === undefined
          ? ALL
          : sql<SqlBool>`chunks.source_id in (select value from json_each(${JSON.stringify(sourceIds)}))`;
      // Read in the order of rank, so that chunks and documents are looked up for the best alone.
      const found = await read(
        place,
        (table) => sql<ScoredRow>`
        select chunks.id as id, -lexical.rank as score
        from ${table} as lexical
        cross join chunks on chunks.number = lexical.rowid
        cross join documents on documents.tenant_id = chunks.tenant_id and documents.id = chunks.document_id
        where ${table} match ${match} and lexical.rank match ${ranking}
          and documents.state = 'searchable' and ${ofSources}
        order by lexical.rank
        limit ${limit}`,
      );
      signal?.throwIfAborted();
      return found;
    },
    async score(bot, { terms, chunkIds }, signal) {
      signal?.throwIfAborted();
      const match = toMatchExpression(terms);
      const place = await findLexicalPlace(database, bot);
      if (place === null || match === null || chunkIds.length === 0) return [];
      // The plus keeps SQLite from running the query once a row.
      const found = await read(
        place,
        (table) => sql<ScoredRow>`
        select chunks.id as id, -lexical.rank as score
        from ${table} as lexical
        cross join chunks on chunks.number = lexical.rowid
        cross join documents on documents.tenant_id = chunks.tenant_id and documents.id = chunks.document_id
        where ${table} match ${match} and lexical.rank match ${ranking}
          and +lexical.rowid in (
            select number from chunks
            where tenant_id = ${bot.tenantId} and id in (select value from json_each(${JSON.stringify(chunkIds)}))
          )
          and documents.state = 'searchable'`,
      );
      signal?.throwIfAborted();
      return found;
    },
  };

  async function read(
    place: LexicalPlace,
    queryOf: (table: RawBuilder<unknown>) => RawBuilder<ScoredRow>,
  ): Promise<readonly ScoredChunk[]> {
    try {
      const rows = await rowsOf(place, queryOf);
      return rows
        .map(({ id, score }) => ({ chunkId: id, score }))
        .sort((a, b) => b.score - a.score || (a.chunkId < b.chunkId ? -1 : 1));
    } catch (error) {
      // The bot was deleted between finding its table and reading it.
      if (failureOf(error)?.message.includes('no such table') === true) return [];
      throw error;
    }
  }

  async function rowsOf(
    place: LexicalPlace,
    queryOf: (table: RawBuilder<unknown>) => RawBuilder<ScoredRow>,
  ): Promise<readonly ScoredRow[]> {
    if (place.type === 'table') return (await queryOf(place.table).execute(database)).rows;
    return small === null ? [] : small.read(place, queryOf);
  }
}

interface ScoredRow {
  readonly id: string;
  readonly score: number;
}

const ALL = sql<SqlBool>`1 = 1`;

/** Each term as a quoted string, in which only the quote has a meaning; any one of them is enough. */
function toMatchExpression(terms: readonly string[]): string | null {
  const distinct = [...new Set(terms.map((term) => term.trim()).filter((term) => term !== ''))].slice(0, MAX_TERMS);
  if (distinct.length === 0) return null;
  return distinct.map((term) => `"${term.replaceAll('"', '""')}"`).join(' OR ');
}
