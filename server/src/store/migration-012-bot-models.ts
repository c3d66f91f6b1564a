import type { Kysely } from 'kysely';
import type { Schema } from './schema.ts';

/** The ordered list of the models that may answer for a bot. */
export async function addBotModels(database: Kysely<Schema>): Promise<void> {
  await database.schema.alterTable('bots').addColumn('models_json', 'text').execute();
}
