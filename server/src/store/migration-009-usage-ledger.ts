import { type Kysely, sql } from 'kysely';
import type { Schema } from './schema.ts';

/** Usage rows tell of every upstream call: for which answer, how it ended, what it cost and by which price. */
export async function addUsageLedger(database: Kysely<Schema>): Promise<void> {
  const run = (statement: string) => sql.raw(statement).execute(database);
  for (const column of [
    'answer_id text',
    'key_fingerprint text',
    'cached_input_tokens bigint not null default 0',
    "usage_source text not null default 'counted'",
    'error_code text',
    'cache text',
    'calls integer not null default 1',
    'requests integer not null default 1',
    'cost_nano_usd bigint',
    'price_id text',
    'first_token_ms bigint',
  ]) {
    await run(`alter table usage add column ${column}`);
  }
  await run('create index usage_by_time on usage (tenant_id, created_at)');
  await database.schema
    .createTable('usage_prices')
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('price_json', 'text', (column) => column.notNull())
    .execute();
}
