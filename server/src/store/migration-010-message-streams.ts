import type { Kysely } from 'kysely';
import type { Schema } from './schema.ts';

/** How an answer came, piece by piece, so that its stream can be resumed after a restart. */
export async function addMessageStreams(database: Kysely<Schema>): Promise<void> {
  await database.schema.alterTable('messages').addColumn('stream_json', 'text').execute();
}
