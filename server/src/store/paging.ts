import { type Expression, type SelectQueryBuilder, sql } from 'kysely';
import type { Page, PageRequest } from './ports.ts';
import type { Schema, TenantTable } from './schema.ts';
import type { TenantScope } from './tenant-scope.ts';

interface Listed<Row, Item> {
  /** Of the list, in any order: it must hold `number` of the table. */
  readonly table: keyof Schema;
  /** The row number of a cursor's row; null when there is no such row for this caller. */
  readonly numberOf: (id: string) => Expression<number | null>;
  readonly toItem: (row: Row) => Item;
}

/** One page of a query, in the order in which the rows were added. A cursor that is not the caller's gives an empty page. */
export async function fetchPage<Table extends keyof Schema, Row, Item>(
  query: SelectQueryBuilder<Schema, Table, Row>,
  { limit, order, after, before }: PageRequest,
  { table, numberOf, toItem }: Listed<Row, Item>,
): Promise<Page<Item>> {
  const number = sql.ref<number>(`${table}.number`);
  const ascending = order === 'asc';
  // The items just before a cursor are found by walking back from it.
  const backwards = before !== undefined;
  const direction = ascending === backwards ? 'desc' : 'asc';
  let found = query;
  if (after !== undefined) found = found.where(number, ascending ? '>' : '<', numberOf(after) as never);
  if (before !== undefined) found = found.where(number, ascending ? '<' : '>', numberOf(before) as never);
  const rows = await found
    .orderBy(number, direction)
    .limit(limit + 1)
    .execute();
  const items = rows.slice(0, limit).map((row) => toItem(row as Row));
  return { items: backwards ? items.reverse() : items, hasMore: rows.length > limit };
}

/** A page of one of the tenant's tables. */
export function fetchTenantPage<Table extends TenantTable, Row, Item>(
  scope: TenantScope,
  query: SelectQueryBuilder<Schema, Table, Row>,
  {
    table,
    page,
    toItem,
  }: { readonly table: TenantTable; readonly page: PageRequest; readonly toItem: (row: Row) => Item },
): Promise<Page<Item>> {
  const numberOf = (id: string): Expression<number | null> =>
    sql<
      number | null
    >`(select cursor.number from ${sql.table(table)} as cursor where cursor.tenant_id = ${scope.tenantId} and cursor.id = ${id})`;
  return fetchPage(query, page, { table, numberOf, toItem });
}
