import type { Kysely } from 'kysely';
import type { Schema } from './schema.ts';
import type { SqlDialect } from './sql-dialect.ts';

/** Every version of a bot's prompts is kept, and usage rows name the one that was used. */
export async function addPromptVersions(database: Kysely<Schema>, dialect: SqlDialect): Promise<void> {
  await database.schema
    .createTable('prompt_versions')
    .addColumn('number', dialect.columnTypes.rowNumber)
    .addColumn('id', 'text', (column) => column.notNull().unique())
    .addColumn('tenant_id', 'text', (column) => column.notNull())
    .addColumn('bot_id', 'text', (column) => column.notNull())
    .addColumn('version', 'text', (column) => column.notNull())
    .addColumn('prompt_json', 'text', (column) => column.notNull())
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .addColumn('chosen_at', 'bigint', (column) => column.notNull())
    .addUniqueConstraint('prompt_versions_of_bot', ['tenant_id', 'bot_id', 'version'])
    .addForeignKeyConstraint('prompt_versions_bot', ['tenant_id', 'bot_id'], 'bots', ['tenant_id', 'id'], (key) =>
      key.onDelete('cascade'),
    )
    .execute();
  await database.schema.alterTable('usage').addColumn('prompt_version', 'text').execute();
}
