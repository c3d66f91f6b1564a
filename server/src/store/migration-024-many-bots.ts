import { type Kysely, sql } from 'kysely';
import type { Schema } from './schema.ts';

/** Indexes for what is asked of many bots: the pages of their list, and sources that have failed. */
export async function indexManyBots(database: Kysely<Schema>): Promise<void> {
  await database.schema.createIndex('bots_by_tenant').on('bots').columns(['tenant_id', 'number']).execute();
  await sql`create index sources_failed on sources (updated_at) where status = 'failed'`.execute(database);
}
