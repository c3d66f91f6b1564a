import { type Kysely, type Selectable, sql } from 'kysely';
import type { Tenant } from './entities.ts';
import { fetchPage } from './paging.ts';
import type { TenantRepository } from './ports.ts';
import type { Schema } from './schema.ts';
import type { SqlDialect } from './sql-dialect.ts';

export function createTenantRepository(database: Kysely<Schema>, dialect: SqlDialect): TenantRepository {
  return {
    async create(tenant) {
      await database
        .insertInto('tenants')
        .values({ id: tenant.id, name: tenant.name, created_at: tenant.createdAt, updated_at: tenant.updatedAt })
        .execute();
    },
    async get(id) {
      const row = await database.selectFrom('tenants').selectAll().where('id', '=', id).executeTakeFirst();
      return row === undefined ? null : toTenant(row);
    },
    list: (page) =>
      fetchPage(database.selectFrom('tenants').selectAll(), page, {
        table: 'tenants',
        numberOf: (id) => sql<number | null>`(select cursor.number from tenants as cursor where cursor.id = ${id})`,
        toItem: toTenant,
      }),
    async update(id, changes) {
      const row = await database
        .updateTable('tenants')
        .set({ name: changes.name, updated_at: changes.updatedAt })
        .where('id', '=', id)
        .returningAll()
        .executeTakeFirst();
      return row === undefined ? null : toTenant(row);
    },
    delete: (id) =>
      database.transaction().execute(async (transaction) => {
        await dialect.dropLexicalIndexes(transaction, { tenantId: id });
        const { numDeletedRows } = await transaction.deleteFrom('tenants').where('id', '=', id).executeTakeFirst();
        return numDeletedRows > 0n;
      }),
  };
}

function toTenant(row: Selectable<Schema['tenants']>): Tenant {
  return { id: row.id, name: row.name, createdAt: row.created_at, updatedAt: row.updated_at };
}
