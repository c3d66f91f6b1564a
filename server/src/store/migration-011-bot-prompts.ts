import type { Kysely } from 'kysely';
import type { Schema } from './schema.ts';

/** Bots have prompt templates of their own. */
export async function addBotPrompts(database: Kysely<Schema>): Promise<void> {
  await database.schema.alterTable('bots').addColumn('prompt_json', 'text').execute();
}
