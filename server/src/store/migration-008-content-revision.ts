import type { Kysely } from 'kysely';
import type { Schema } from './schema.ts';

/** What tells one state of a bot's content and settings from another. */
export async function addContentRevision(database: Kysely<Schema>): Promise<void> {
  await database.schema.alterTable('bots').addColumn('content_revision', 'text').execute();
}
