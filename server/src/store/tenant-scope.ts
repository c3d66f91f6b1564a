import {
  type DeleteQueryBuilder,
  type DeleteResult,
  type Expression,
  type Insertable,
  type InsertQueryBuilder,
  type InsertResult,
  type Kysely,
  type SelectQueryBuilder,
  type SqlBool,
  sql,
  type UpdateQueryBuilder,
  type UpdateResult,
} from 'kysely';
import type { Schema, TenantTable } from './schema.ts';
import type { SqlDialect } from './sql-dialect.ts';

/** A row without its tenant: the scope adds it. */
export type NewRow<Table extends TenantTable> = Omit<Insertable<Schema[Table]>, 'tenant_id'>;

/** Tables whose rows have an id of their own, unique among all tenants. */
export type TableWithIds = 'chunks' | 'documents';

/**
 * The only way in which tenant repositories reach the database. Every statement that it begins is bound to one tenant:
 * reads, changes and deletes carry the tenant in their condition, inserts in their rows.
 */
export interface TenantScope {
  readonly tenantId: string;
  readonly dialect: SqlDialect;
  select<Table extends TenantTable>(table: Table): SelectQueryBuilder<Schema, Table, object>;
  /**
   * Rows by their ids, which are looked up first and by nothing else: an engine without figures of how much a tenant has would
   * read all of it instead.
   */
  selectByIds<Table extends TableWithIds>(
    table: Table,
    ids: readonly string[],
  ): SelectQueryBuilder<Schema, Table, object>;
  insert<Table extends TenantTable>(
    table: Table,
    rows: readonly NewRow<Table>[],
  ): InsertQueryBuilder<Schema, Table, InsertResult>;
  update<Table extends TenantTable>(table: Table): UpdateQueryBuilder<Schema, Table, Table, UpdateResult>;
  delete<Table extends TenantTable>(table: Table): DeleteQueryBuilder<Schema, Table, DeleteResult>;
  /** Runs the work in the transaction that is open, else in one of its own. */
  atomically<Result>(work: (scope: TenantScope) => Promise<Result>): Promise<Result>;
  readonly lexical: {
    /** What it gives puts the chunks of documents into the index, in the same transaction. */
    open(of: {
      readonly botId: string;
      readonly chunkSet: string;
    }): Promise<(documentIds: readonly string[]) => Promise<void>>;
    unindex(documentIds: readonly string[]): Promise<void>;
    drop(botId: string, chunkSet?: string): Promise<void>;
  };
}

export function createTenantScope(database: Kysely<Schema>, dialect: SqlDialect, tenantId: string): TenantScope {
  return {
    tenantId,
    dialect,
    select: (table) => database.selectFrom(table as TenantTable).where(ofTenant(table, tenantId)) as never,
    selectByIds: (table, ids) =>
      database
        .with(
          (found) => found('found').materialized(),
          (rows) =>
            rows
              .selectFrom(table as TableWithIds)
              .selectAll()
              .where((where) => dialect.isOneOf(where.ref('id'), ids)),
        )
        .selectFrom(`found as ${table}` as never)
        .where(ofTenant(table, tenantId)) as never,
    insert: (table, rows) =>
      database
        .insertInto(table as TenantTable)
        .values(rows.map((row) => ({ ...row, tenant_id: tenantId })) as never) as never,
    update: (table) => database.updateTable(table as TenantTable).where(ofTenant(table, tenantId)) as never,
    delete: (table) => database.deleteFrom(table as TenantTable).where(ofTenant(table, tenantId)) as never,
    atomically: (work) => {
      if (database.isTransaction) return work(createTenantScope(database, dialect, tenantId));
      return database.transaction().execute((transaction) => work(createTenantScope(transaction, dialect, tenantId)));
    },
    lexical: {
      open: (of) => dialect.openLexicalIndex(database, { tenantId, ...of }),
      unindex: (documentIds) => dialect.unindexDocuments(database, tenantId, documentIds),
      drop: (botId, chunkSet) =>
        dialect.dropLexicalIndexes(database, { tenantId, botId, ...(chunkSet === undefined ? {} : { chunkSet }) }),
    },
  };
}

function ofTenant(table: TenantTable, tenantId: string): Expression<SqlBool> {
  return sql<SqlBool>`${sql.ref(`${table}.tenant_id`)} = ${tenantId}`;
}
