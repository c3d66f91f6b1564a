import type { Kysely } from 'kysely';
import type { Schema } from './schema.ts';

/** How content is cut: of a bot, and of a source that says it itself. */
export async function addChunking(database: Kysely<Schema>): Promise<void> {
  for (const table of ['bots', 'sources'] as const) {
    await database.schema.alterTable(table).addColumn('chunking_json', 'text').execute();
  }
}
