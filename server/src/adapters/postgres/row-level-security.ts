import { type Kysely, sql } from 'kysely';
import type { Schema } from '../../store/index.ts';
import { EVERY_TENANT, TENANT_SETTING } from './scope.ts';

/** Reads as null where the setting was never made: then no row is seen. Asked once a query, not once a row. */
const SCOPE = `(select current_setting('${TENANT_SETTING}', true))`;
const POLICY = 'chatsphere_tenant';

/**
 * Lets the tables show and take rows of the tenant that the statement is for and no others, whatever its conditions say;
 * the owner is bound, too (superusers never are). Does nothing to tables that have it.
 */
export async function protectTenants(database: Kysely<Schema>, columns: ReadonlyMap<string, string>): Promise<void> {
  const { rows } = await sql<{ readonly name: string }>`select relname as name from pg_class
    where relnamespace = current_schema()::regnamespace and relrowsecurity and relforcerowsecurity`.execute(database);
  const done = new Set(rows.map(({ name }) => name));
  for (const [table, column] of columns) {
    if (done.has(table)) continue;
    const seen = sql`(${sql.raw(SCOPE)} in (${sql.ref(column)}, ${sql.lit(EVERY_TENANT)}))`;
    await sql`create policy ${sql.ref(POLICY)} on ${sql.table(table)} using ${seen} with check ${seen}`.execute(
      database,
    );
    await sql`alter table ${sql.table(table)} enable row level security`.execute(database);
    await sql`alter table ${sql.table(table)} force row level security`.execute(database);
  }
}
