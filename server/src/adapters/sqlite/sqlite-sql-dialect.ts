import { type Expression, type Kysely, type RawBuilder, type SqlBool, sql } from 'kysely';
import type { MetadataComparison, Schema, SqlDialect } from '../../store/index.ts';
import { indexableText } from '../../vector-store/index.ts';
import {
  addChunkSets,
  createLexicalIndexesTable,
  dropLexicalTables,
  findLexicalTables,
  findOrCreateLexicalTable,
  type LexicalKey,
  purgeLexicalTable,
} from './lexical-tables.ts';
import { failureOf } from './sqlite-failure.ts';

interface LexicalEntry {
  readonly number: number;
  readonly title: string;
  readonly body: string;
}

/** Texts in scripts without spaces, which the tokenizer would take for one word: they are spaced out first. */
const UNSPACED_SCRIPTS = '*[\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f]*';

/** What is SQLite's own in the store's SQL. */
export const sqliteSqlDialect: SqlDialect = {
  rowLocks: false,
  columnTypes: { rowNumber: sql`integer primary key autoincrement`, bytes: sql`blob` },
  isOneOf,
  containsText: (column, text) => sql<SqlBool>`instr(${column}, ${text}) > 0`,
  metadataMatches,
  createLexicalTables: createLexicalIndexesTable,
  divideLexicalTables: addChunkSets,
  async openLexicalIndex(database, index) {
    const table = await findOrCreateLexicalTable(database, index);
    return (documentIds) => indexDocuments(database, { ...index, table }, documentIds);
  },
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

async function indexDocuments(
  database: Kysely<Schema>,
  { table, ...index }: LexicalKey & { readonly table: RawBuilder<unknown> },
  documentIds: readonly string[],
): Promise<void> {
  const entries = sql`(
    select
      chunks.number as number,
      documents.title || char(10) || (
        select coalesce(group_concat(heading.value, char(10)), '') from json_each(chunks.heading_path_json) as heading
      ) as title,
      chunks.text as body
    from documents
    join chunks on chunks.tenant_id = documents.tenant_id and chunks.document_id = documents.id
    where documents.tenant_id = ${index.tenantId} and documents.bot_id = ${index.botId}
      and chunks.chunk_set = ${index.chunkSet} and ${isOneOf(sql.ref('documents.id'), documentIds)}
  )`;
  const unspaced = sql<SqlBool>`(title || body) glob ${UNSPACED_SCRIPTS}`;
  const [{ rows }] = await Promise.all([
    sql<LexicalEntry>`select number, title, body from ${entries} where ${unspaced} order by number`.execute(database),
    sql`insert into ${table} (rowid, title, body)
      select number, title, body from ${entries} where not ${unspaced} order by number`.execute(database),
  ]);
  for (const { number, title, body } of rows) {
    await sql`insert into ${table} (rowid, title, body)
      values (${number}, ${indexableText(title)}, ${indexableText(body)})`.execute(database);
  }
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
