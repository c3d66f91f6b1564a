import type { Kysely } from 'kysely';
import type { Schema } from './schema.ts';
import type { SqlDialect } from './sql-dialect.ts';

/** Sources that are fetched from the web, their schedule, and the pages that they have met. */
export async function addWebSources(database: Kysely<Schema>, dialect: SqlDialect): Promise<void> {
  await database.schema.alterTable('sources').addColumn('web_json', 'text').execute();
  for (const column of ['sync_interval_ms', 'last_synced_at', 'next_sync_at']) {
    await database.schema.alterTable('sources').addColumn(column, 'bigint').execute();
  }
  await database.schema
    .createIndex('sources_due')
    .on('sources')
    .column('next_sync_at')
    .where('next_sync_at', 'is not', null)
    .execute();
  await database.schema.alterTable('documents').addColumn('trained_as', 'text').execute();
  await database.schema
    .createTable('source_pages')
    .addColumn('number', dialect.columnTypes.rowNumber)
    .addColumn('tenant_id', 'text', (column) => column.notNull())
    .addColumn('source_id', 'text', (column) => column.notNull())
    .addColumn('url', 'text', (column) => column.notNull())
    .addColumn('address', 'text', (column) => column.notNull())
    .addColumn('kind', 'text', (column) => column.notNull())
    .addColumn('run', 'text', (column) => column.notNull())
    .addColumn('depth', 'bigint', (column) => column.notNull())
    .addColumn('lastmod', 'text')
    .addColumn('state', 'text', (column) => column.notNull())
    .addColumn('last_error_json', 'text')
    .addColumn('copy_json', 'text')
    .addColumn('blob_hash', 'text')
    .addUniqueConstraint('source_pages_url', ['tenant_id', 'source_id', 'url'])
    .addForeignKeyConstraint('source_pages_source', ['tenant_id', 'source_id'], 'sources', ['tenant_id', 'id'], (key) =>
      key.onDelete('cascade'),
    )
    .execute();
  await database.schema
    .createIndex('source_pages_by_state')
    .on('source_pages')
    .columns(['tenant_id', 'source_id', 'run', 'state', 'kind', 'depth', 'number'])
    .execute();
}
