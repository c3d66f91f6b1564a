import type { Kysely } from 'kysely';
import type { Schema } from './schema.ts';

const OLD_SETTING = 'unfinished_imports';

/** Who does what only one process may do, which processes live, and what a dead one has left undone. */
export async function addLeases(database: Kysely<Schema>): Promise<void> {
  await database.schema
    .createTable('leases')
    .addColumn('name', 'text', (column) => column.primaryKey())
    .addColumn('owner', 'text', (column) => column.notNull())
    .addColumn('expires_at', 'bigint')
    .execute();
  await database.schema.alterTable('idempotency').addColumn('owner', 'text').execute();
  const old = await database.selectFrom('settings').select('value').where('name', '=', OLD_SETTING).executeTakeFirst();
  for (const [botId, tenantId] of Object.entries(JSON.parse(old?.value ?? '{}') as Record<string, string>)) {
    const mark = { name: `import/${tenantId}/${botId}`, owner: OLD_SETTING, expires_at: null };
    await database.insertInto('leases').values(mark).execute();
  }
  await database.deleteFrom('settings').where('name', '=', OLD_SETTING).execute();
}
