import { type Kysely, sql } from 'kysely';
import type { SourceInput } from './entities.ts';
import { readJson } from './json-columns.ts';
import type { Schema } from './schema.ts';
import { fileHashOf } from './sources.ts';
import type { SqlDialect } from './sql-dialect.ts';

const SOURCES_PER_BATCH = 500;

/** Sync runs, signatures of documents, and when content was last taken away. */
export async function addSync(database: Kysely<Schema>, dialect: SqlDialect): Promise<void> {
  await database.schema.alterTable('sources').addColumn('file_hash', 'text').execute();
  await database.schema.alterTable('bots').addColumn('content_removed_at', 'bigint').execute();
  await database.schema.alterTable('conversations').addColumn('summarized_at', 'bigint').execute();
  await fillFileHashes(database);
  await createSyncRuns(database, dialect);
  await createSyncItems(database, dialect);
  await createSignatures(database, dialect);
}

/** The sources that were made before know the hash of their file as the key of its blob. */
async function fillFileHashes(database: Kysely<Schema>): Promise<void> {
  for (let last = 0; ; ) {
    const rows = await database
      .selectFrom('sources')
      .select(['number', 'type', 'inputs_json'])
      .where('number', '>', last)
      .orderBy('number')
      .limit(SOURCES_PER_BATCH)
      .execute();
    for (const { number, type, inputs_json } of rows) {
      const hash = fileHashOf({ type, inputs: readJson<SourceInput[]>(inputs_json) });
      if (hash === null) continue;
      await database.updateTable('sources').set({ file_hash: hash }).where('number', '=', number).execute();
    }
    if (rows.length < SOURCES_PER_BATCH) return;
    last = rows.at(-1)?.number ?? last;
  }
}

async function createSyncRuns(database: Kysely<Schema>, dialect: SqlDialect): Promise<void> {
  await database.schema
    .createTable('sync_runs')
    .addColumn('number', dialect.columnTypes.rowNumber)
    .addColumn('id', 'text', (column) => column.notNull().unique())
    .addColumn('tenant_id', 'text', (column) => column.notNull())
    .addColumn('bot_id', 'text', (column) => column.notNull())
    .addColumn('status', 'text', (column) => column.notNull())
    .addColumn('prune', 'integer', (column) => column.notNull())
    .addColumn('prefix', 'text', (column) => column.notNull())
    .addColumn('unchanged', 'bigint', (column) => column.notNull())
    .addColumn('receipt_json', 'text', (column) => column.notNull())
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .addColumn('expires_at', 'bigint', (column) => column.notNull())
    .addColumn('ended_at', 'bigint')
    .addUniqueConstraint('sync_runs_tenant_id', ['tenant_id', 'id'])
    .addForeignKeyConstraint('sync_runs_parent', ['tenant_id', 'bot_id'], 'bots', ['tenant_id', 'id'], (key) =>
      key.onDelete('cascade'),
    )
    .execute();
  await sql`create index sync_runs_by_bot on sync_runs (tenant_id, bot_id)`.execute(database);
}

async function createSyncItems(database: Kysely<Schema>, dialect: SqlDialect): Promise<void> {
  await database.schema
    .createTable('sync_items')
    .addColumn('number', dialect.columnTypes.rowNumber)
    .addColumn('tenant_id', 'text', (column) => column.notNull())
    .addColumn('bot_id', 'text', (column) => column.notNull())
    .addColumn('run_id', 'text', (column) => column.notNull())
    .addColumn('action', 'text', (column) => column.notNull())
    .addColumn('state', 'text', (column) => column.notNull())
    .addColumn('external_key', 'text', (column) => column.notNull())
    .addColumn('source_id', 'text')
    .addColumn('metadata_json', 'text')
    .addForeignKeyConstraint('sync_items_parent', ['tenant_id', 'run_id'], 'sync_runs', ['tenant_id', 'id'], (key) =>
      key.onDelete('cascade'),
    )
    .execute();
  await sql`create index sync_items_by_run on sync_items (tenant_id, run_id, action, state)`.execute(database);
  await sql`create unique index sync_items_key on sync_items (tenant_id, run_id, external_key)`.execute(database);
  await sql`create index sync_items_asked on sync_items (tenant_id, bot_id, external_key) where state = 'asked'`.execute(
    database,
  );
}

async function createSignatures(database: Kysely<Schema>, dialect: SqlDialect): Promise<void> {
  await database.schema
    .createTable('document_signatures')
    .addColumn('tenant_id', 'text', (column) => column.notNull())
    .addColumn('bot_id', 'text', (column) => column.notNull())
    .addColumn('document_id', 'text', (column) => column.notNull())
    .addColumn('signature', dialect.columnTypes.bytes, (column) => column.notNull())
    .addPrimaryKeyConstraint('document_signatures_key', ['tenant_id', 'document_id'])
    .addForeignKeyConstraint(
      'document_signatures_document',
      ['tenant_id', 'document_id'],
      'documents',
      ['tenant_id', 'id'],
      (key) => key.onDelete('cascade'),
    )
    .execute();
}
