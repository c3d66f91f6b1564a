import { type Expression, type RawBuilder, type SqlBool, sql } from 'kysely';
import type { MetadataComparison, SqlDialect } from '../../store/index.ts';
import {
  addChunkSets,
  createLexicalIndexesTable,
  dropLexicalTables,
  findLexicalTables,
  purgeLexicalTable,
} from './lexical-tables.ts';
import { openLexicalTable } from './lexical-writing.ts';
import { failureOf } from './sqlite-failure.ts';

/** Chunk sets up to this size have no full-text table: some 7 ms make one in memory when it is searched. */
const MOST_CHUNKS_WITHOUT_TABLE = 128;

/** What is SQLite's own in the store's SQL. */
export const sqliteSqlDialect: SqlDialect = createSqliteSqlDialect(MOST_CHUNKS_WITHOUT_TABLE);

/** `mostChunksWithoutTable`: 0 where full-text tables cannot be made for the time of a search. */
export function createSqliteSqlDialect(mostChunksWithoutTable: number): SqlDialect {
  return {
    rowLocks: false,
    readsShareConnection: true,
    columnTypes: { rowNumber: sql`integer primary key autoincrement`, bytes: sql`blob` },
    isOneOf,
    containsText: (column, text) => sql<SqlBool>`instr(${column}, ${text}) > 0`,
    metadataMatches,
    createLexicalTables: createLexicalIndexesTable,
    divideLexicalTables: addChunkSets,
    openLexicalIndex: (database, index) => openLexicalTable(database, index, mostChunksWithoutTable),
    async unindexDocuments(database, tenantId, documentIds) {
      const bots = await database
        .selectFrom('documents')
        .select('bot_id')
        .distinct()
        .where('tenant_id', '=', tenantId)
        .where((where) => isOneOf(where.ref('documents.id'), documentIds))
        .execute();
      for (const { bot_id: botId } of bots) {
        // Row numbers are never used twice, so that taking one out of each table is safe.
        for (const table of await findLexicalTables(database, { tenantId, botId })) {
          await sql`delete from ${table} where rowid in (
          select chunks.number from chunks
          where chunks.tenant_id = ${tenantId} and chunks.bot_id = ${botId}
            and ${isOneOf(sql.ref('chunks.document_id'), documentIds)}
        )`.execute(database);
        }
      }
    },
    purgeLexicalIndex: purgeLexicalTable,
    dropLexicalIndexes: dropLexicalTables,
    // One connection writes, and files belong to one process.
    lockSchema: async () => {},
    protectTenants: async () => {},
    violatedUniqueColumns(error) {
      const failure = failureOf(error);
      if (failure === null || !/^SQLITE_CONSTRAINT_(UNIQUE|PRIMARYKEY)$/.test(failure.code)) return null;
      return failure.message.replace(/^.*constraint failed: /, '').split(', ');
    },
    isMissingParent: (error) => failureOf(error)?.code === 'SQLITE_CONSTRAINT_FOREIGNKEY',
  };
}

function isOneOf(column: Expression<unknown>, values: readonly (string | number)[]): Expression<SqlBool> {
  return sql<SqlBool>`${column} in (select value from json_each(${JSON.stringify(values)}))`;
}

/** `json_each` hands out members by key as data, so that any key is only ever compared, and keeps their JSON type. */
function metadataMatches(json: Expression<unknown>, comparison: MetadataComparison): Expression<SqlBool> {
  const matching = (condition: RawBuilder<SqlBool>): RawBuilder<SqlBool> => sql<SqlBool>`exists (
    select 1 from json_each(${json}) as member where member.key = ${comparison.key} and ${condition}
  )`;
  switch (comparison.type) {
    case 'eq':
      return matching(memberCompares('=', comparison.value));
    case 'ne':
      return sql<SqlBool>`not ${matching(memberCompares('=', comparison.value))}`;
    case 'in':
      return matching(memberIsOneOf(comparison.value));
    case 'nin':
      return sql<SqlBool>`not ${matching(memberIsOneOf(comparison.value))}`;
    case 'gt':
      return matching(memberCompares('>', comparison.value));
    case 'gte':
      return matching(memberCompares('>=', comparison.value));
    case 'lt':
      return matching(memberCompares('<', comparison.value));
    case 'lte':
      return matching(memberCompares('<=', comparison.value));
  }
}

function memberCompares(
  operator: '=' | '>' | '>=' | '<' | '<=',
  value: string | number | boolean,
): RawBuilder<SqlBool> {
  const types = TYPES_OF[typeof value as 'string' | 'number' | 'boolean'];
  // Read from JSON as the member is: beyond 2^53 a number bound as a float differs from the digits that JSON spells.
  const compared = typeof value === 'number' ? sql`json_extract(${JSON.stringify(value)}, '$')` : sql`${value}`;
  return sql<SqlBool>`member.type in (${sql.join(types.map((type) => sql.lit(type)))}) and member.value ${sql.raw(operator)} ${compared}`;
}

function memberIsOneOf(values: readonly (string | number)[]): RawBuilder<SqlBool> {
  return sql<SqlBool>`member.type in ('text', 'integer', 'real') and ${isOneOf(sql.ref('member.value'), values)}`;
}

/** SQLite's names for the types of JSON values; booleans have the values 1 and 0. */
const TYPES_OF = { string: ['text'], number: ['integer', 'real'], boolean: ['true', 'false'] } as const;
