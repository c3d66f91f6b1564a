import { type Expression, expressionBuilder, type SqlBool, sql } from 'kysely';
import { AppError } from '../kernel/index.ts';
import type { MetadataFilter } from './ports.ts';
import type { Schema } from './schema.ts';
import type { MetadataComparison, SqlDialect } from './sql-dialect.ts';

const MAX_DEPTH = 16;
const MAX_CONDITIONS = 256;

/** Keys that name columns of the source; they win over metadata of the same name. */
const BUILT_IN_COLUMNS: ReadonlyMap<string, 'type' | 'title' | 'url' | 'external_key'> = new Map([
  ['type', 'type'],
  ['title', 'title'],
  ['url', 'url'],
  ['external_key', 'external_key'],
]);

/**
 * A filter in OpenAI's shape as a condition over `sources`. Rejects with `invalid_request` when it is nested deeper
 * than 16 or holds more than 256 conditions.
 */
export function metadataCondition(filter: MetadataFilter, dialect: SqlDialect): Expression<SqlBool> {
  let conditions = 0;
  const where = expressionBuilder<Schema, 'sources'>();

  function build(part: MetadataFilter, depth: number): Expression<SqlBool> {
    conditions += 1;
    if (depth > MAX_DEPTH || conditions > MAX_CONDITIONS) throw tooComplex();
    if ('filters' in part) {
      const inner = part.filters.map((each) => build(each, depth + 1));
      return part.type === 'and' ? where.and(inner) : where.or(inner);
    }
    const column = BUILT_IN_COLUMNS.get(part.key);
    if (column !== undefined) return columnMatches(column, part, dialect);
    return dialect.metadataMatches(sql.ref('sources.metadata_json'), part);
  }
  return build(filter, 1);
}

/** Built-in columns hold text, so they compare with strings alone, by the same rules as metadata. */
function columnMatches(
  column: 'type' | 'title' | 'url' | 'external_key',
  comparison: MetadataComparison,
  dialect: SqlDialect,
): Expression<SqlBool> {
  const reference = sql.ref<string>(`sources.${column}`);
  switch (comparison.type) {
    case 'in':
      return orFalse(dialect.isOneOf(reference, onlyStrings(comparison.value)));
    case 'nin':
      return not(orFalse(dialect.isOneOf(reference, onlyStrings(comparison.value))));
    default: {
      if (typeof comparison.value !== 'string') return comparison.type === 'ne' ? ALWAYS : NEVER;
      const compared = sql<SqlBool>`${reference} ${sql.raw(SQL_OPERATORS[comparison.type])} ${comparison.value}`;
      return comparison.type === 'ne' ? not(orFalse(compared)) : orFalse(compared);
    }
  }
}

const ALWAYS = sql<SqlBool>`1 = 1`;
const NEVER = sql<SqlBool>`1 = 0`;

/** `ne` is asked as the opposite of `eq`, so that a missing value is unequal. */
const SQL_OPERATORS = { eq: '=', ne: '=', gt: '>', gte: '>=', lt: '<', lte: '<=' } as const;

function orFalse(condition: Expression<SqlBool>): Expression<SqlBool> {
  return sql<SqlBool>`coalesce((${condition}), ${NEVER})`;
}

function not(condition: Expression<SqlBool>): Expression<SqlBool> {
  return sql<SqlBool>`not (${condition})`;
}

function onlyStrings(values: readonly (string | number)[]): readonly string[] {
  return values.filter((value) => typeof value === 'string');
}

function tooComplex(): AppError {
  return new AppError(
    'invalid_request',
    `The filter is too complex: at most ${MAX_CONDITIONS} conditions, nested at most ${MAX_DEPTH} deep.`,
    { param: 'filters' },
  );
}
