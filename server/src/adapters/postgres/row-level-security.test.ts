import { sql } from 'kysely';
import { Client } from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { silentLogger, systemClock } from '../../kernel/index.ts';
import { createSamples, createTenantWithBot } from '../../store/store-samples.contract.ts';
import { openPostgres, type Postgres } from './index.ts';
import { describeWithPostgres, startTestPostgres, type TestPostgres } from './postgres-server.contract.ts';

const samples = createSamples('rls');

describeWithPostgres('row-level security', () => {
  let server: TestPostgres;
  let postgres: Postgres;
  let own: { readonly tenantId: string; readonly botId: string };
  let other: { readonly tenantId: string; readonly botId: string };
  beforeAll(async () => {
    server = await startTestPostgres();
    postgres = openPostgres({ url: server.url, connections: 3, clock: systemClock, logger: silentLogger });
    await postgres.store.start();
    own = await createTenantWithBot(postgres.store, samples);
    other = await createTenantWithBot(postgres.store, samples);
  });
  afterAll(async () => {
    await postgres?.store.stop();
    await server?.remove();
  });

  /** Without any condition, as a repository that forgot it would. */
  const botsSeenBy = async (tenantId: string) => {
    const rows = await postgres.databases.ofTenant(tenantId).database.selectFrom('bots').select('id').execute();
    return rows.map(({ id }) => id);
  };

  it('shows a statement that forgot its condition nothing of another tenant', async () => {
    expect(await botsSeenBy(own.tenantId)).toEqual([own.botId]);
    const { database } = postgres.databases.ofTenant(own.tenantId);
    const { numUpdatedRows } = await database.updateTable('bots').set({ name: 'taken' }).executeTakeFirstOrThrow();
    expect(numUpdatedRows).toBe(1n);
    await database.transaction().execute(async (transaction) => {
      expect(await transaction.selectFrom('tenants').select('id').execute()).toEqual([{ id: own.tenantId }]);
      await transaction.deleteFrom('bots').where('id', '=', other.botId).execute();
    });
    expect(await botsSeenBy(other.tenantId)).toEqual([other.botId]);
  });

  it('takes no row of another tenant', async () => {
    const { database } = postgres.databases.ofTenant(own.tenantId);
    const stolen = database.updateTable('bots').set({ tenant_id: other.tenantId }).execute();
    await expect(stolen).rejects.toMatchObject({ code: 'database_unavailable', retryable: false });
  });

  it('keeps statements apart that share connections, whatever ran there before', async () => {
    const seen = await Promise.all(
      Array.from({ length: 60 }, async (_, number) => {
        const { tenantId, botId } = number % 2 === 0 ? own : other;
        return [await botsSeenBy(tenantId), [botId]] as const;
      }),
    );
    for (const [found, expected] of seen) expect(found).toEqual(expected);
  });

  it('shows nothing to a session that does not say for whom it asks, the owner included', async () => {
    const client = new Client({ connectionString: server.url });
    await client.connect();
    try {
      expect((await client.query('select id from bots')).rows).toEqual([]);
      expect((await client.query('select id from tenants')).rows).toEqual([]);
    } finally {
      await client.end();
    }
  });

  it('is on every table that has a tenant', async () => {
    const { rows } = await sql<{ readonly name: string }>`
      select pg_class.relname as name from pg_class
      join pg_attribute on pg_attribute.attrelid = pg_class.oid and pg_attribute.attname = 'tenant_id'
      where pg_class.relkind = 'r' and pg_class.relnamespace = current_schema()::regnamespace
        and not (pg_class.relrowsecurity and pg_class.relforcerowsecurity and exists (
          select 1 from pg_policy where pg_policy.polrelid = pg_class.oid
        ))`.execute(postgres.databases.database);
    expect(rows).toEqual([]);
  });

  it('shows the system every tenant', async () => {
    const rows = await postgres.databases.database.selectFrom('bots').select('id').execute();
    expect(rows.map(({ id }) => id)).toEqual(expect.arrayContaining([own.botId, other.botId]));
    expect(() => postgres.databases.ofTenant('*')).toThrow('Not a tenant');
  });
});
