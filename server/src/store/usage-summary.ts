import { type Expression, type RawBuilder, type SelectQueryBuilder, type SqlBool, sql } from 'kysely';
import type { Schema } from './schema.ts';
import type {
  UsageDimension,
  UsageFilter,
  UsageGroup,
  UsageGroupKey,
  UsageQuery,
  UsageSummary,
  UsageTotals,
} from './usage-entities.ts';

type Query<Row> = SelectQueryBuilder<Schema, 'usage', Row>;

const DAY_MS = 86_400_000;

/** What rows are grouped by. Rows without a name share the empty one, so that pages can go on behind it. */
const DIMENSIONS: Readonly<Record<UsageDimension, RawBuilder<string | number>>> = {
  tenant: sql`usage.tenant_id`,
  bot: sql`coalesce(usage.bot_id, '')`,
  key: sql`coalesce(usage.key_id, '')`,
  user: sql`coalesce(usage.end_user, '')`,
  model: sql`usage.model`,
  day: sql`usage.created_at / ${sql.lit(DAY_MS)}`,
};

const SUMS = {
  requests: sql<number>`coalesce(sum(usage.requests), 0)`,
  calls: sql<number>`coalesce(sum(usage.calls), 0)`,
  failed_calls: sql<number>`coalesce(sum(case when usage.outcome = 'failed' then usage.calls else 0 end), 0)`,
  cached_answers: sql<number>`coalesce(sum(case when usage.cache is null then 0 else 1 end), 0)`,
  input_tokens: sql<number>`coalesce(sum(usage.input_tokens), 0)`,
  cached_input_tokens: sql<number>`coalesce(sum(usage.cached_input_tokens), 0)`,
  output_tokens: sql<number>`coalesce(sum(usage.output_tokens), 0)`,
  cost_nano_usd: sql<number | null>`sum(usage.cost_nano_usd)`,
  unpriced_calls: sql<number>`coalesce(sum(case when usage.cost_nano_usd is null then usage.calls else 0 end), 0)`,
};

/** Rows that the filter means. */
export function usageWhere<Row>(query: Query<Row>, filter: UsageFilter): Query<Row> {
  const { botIds } = filter;
  const conditions: readonly (Expression<SqlBool> | null)[] = [
    filter.from === undefined ? null : sql<SqlBool>`usage.created_at >= ${filter.from}`,
    filter.until === undefined ? null : sql<SqlBool>`usage.created_at < ${filter.until}`,
    equal('key_id', filter.keyId),
    equal('end_user', filter.endUser),
    equal('model', filter.model),
    equal('outcome', filter.outcome),
    equal('kind', filter.kind),
    botIds === undefined ? null : oneOf('bot_id', botIds),
  ];
  return conditions.reduce<Query<Row>>(
    (found, condition) => (condition === null ? found : found.where(condition)),
    query,
  );
}

function equal(column: string, value: string | undefined): Expression<SqlBool> | null {
  return value === undefined ? null : sql<SqlBool>`${sql.ref(`usage.${column}`)} = ${value}`;
}

function oneOf(column: string, values: readonly string[]): Expression<SqlBool> {
  if (values.length === 0) return sql<SqlBool>`1 = 0`;
  return sql<SqlBool>`${sql.ref(`usage.${column}`)} in (${sql.join([...values])})`;
}

/** One page of groups and the sum over all, by two queries that the database answers from one index range. */
export async function summarizeUsage(rows: Query<object>, query: UsageQuery): Promise<UsageSummary> {
  const filtered = usageWhere(rows, query);
  const [groups, total] = await Promise.all([groupsOf(filtered, query), totalOf(filtered)]);
  return { groups: groups.slice(0, query.limit), hasMore: groups.length > query.limit, total };
}

async function totalOf(rows: Query<object>): Promise<UsageTotals> {
  const found = await rows.select(sumColumns()).executeTakeFirstOrThrow();
  return toTotals(found as SumRow);
}

/** One group more than the page has room for, when there is one; none without dimensions. */
async function groupsOf(rows: Query<object>, { groupBy, order, limit, after, before }: UsageQuery) {
  if (groupBy.length === 0) return [];
  const dimensions = groupBy.map((dimension) => DIMENSIONS[dimension]);
  const backwards = before !== undefined;
  const ascending = (order === 'asc') !== backwards;
  let found = rows.select(sumColumns()) as Query<object>;
  for (const [position, dimension] of dimensions.entries()) {
    const alias = sql.ref(`key_${position}`);
    found = found.select(dimension.as(`key_${position}`)).groupBy(alias) as Query<object>;
    found = found.orderBy(alias, ascending ? 'asc' : 'desc');
  }
  if (after !== undefined) found = found.where(compared(dimensions, order === 'asc' ? '>' : '<', after));
  if (before !== undefined) found = found.where(compared(dimensions, order === 'asc' ? '<' : '>', before));
  const groups = (await found.limit(limit + 1).execute()).map((row) => toGroup(row as GroupRow, groupBy));
  return backwards ? [...groups.slice(0, limit).reverse(), ...groups.slice(limit)] : groups;
}

function compared(
  dimensions: readonly RawBuilder<string | number>[],
  operator: '<' | '>',
  key: UsageGroupKey,
): Expression<SqlBool> {
  return sql<SqlBool>`(${sql.join([...dimensions])}) ${sql.raw(operator)} (${sql.join([...key])})`;
}

type SumRow = { readonly [Name in keyof typeof SUMS]: number | null };
type GroupRow = SumRow & Readonly<Record<`key_${number}`, string | number>>;

function sumColumns() {
  return Object.entries(SUMS).map(([name, sum]) => (sum as RawBuilder<number | null>).as(name));
}

function toGroup(row: GroupRow, groupBy: readonly UsageDimension[]): UsageGroup {
  const key = groupBy.map((dimension, position) => {
    const value = row[`key_${position}`] ?? '';
    return dimension === 'day' ? Number(value) : value;
  });
  return { key, ...toTotals(row) };
}

function toTotals(row: SumRow): UsageTotals {
  return {
    requests: Number(row.requests),
    calls: Number(row.calls),
    failedCalls: Number(row.failed_calls),
    cachedAnswers: Number(row.cached_answers),
    inputTokens: Number(row.input_tokens),
    cachedInputTokens: Number(row.cached_input_tokens),
    outputTokens: Number(row.output_tokens),
    costNanoUsd: row.cost_nano_usd === null ? null : Number(row.cost_nano_usd),
    unpricedCalls: Number(row.unpriced_calls),
  };
}
