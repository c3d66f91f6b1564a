import { sql } from 'kysely';
import { Client } from 'pg';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { silentLogger, systemClock } from '../../kernel/index.ts';
import { openPostgres, type Postgres } from './index.ts';
import { describeWithPgBouncer, startPgBouncer, type TestPgBouncer } from './pgbouncer.contract.ts';
import { startTestPostgres, type TestPostgres } from './postgres-server.contract.ts';

const PATIENT = { timeout: 20_000, interval: 50 };

describeWithPgBouncer('a statement that takes too long', () => {
  let server: TestPostgres;
  let pooler: TestPgBouncer;
  let watching: Client;
  const opened: Postgres[] = [];
  beforeAll(async () => {
    server = await startTestPostgres();
    pooler = await startPgBouncer(server, { connections: 4 });
    watching = new Client({ connectionString: server.superuserUrl });
    await watching.connect();
  });
  afterAll(async () => {
    for (const { store } of opened) await store.stop();
    await watching?.end();
    await pooler?.stop();
    await server?.remove();
  });

  const open = async (url: string, statementTimeoutMs: number): Promise<Postgres> => {
    const postgres = openPostgres({
      ...{ url, listenUrl: server.url, statementTimeoutMs },
      ...{ clock: systemClock, logger: silentLogger },
    });
    opened.push(postgres);
    await postgres.store.start();
    return postgres;
  };
  const sleeping = async (): Promise<number> => {
    const { rows } = await watching.query(
      "select 1 from pg_stat_activity where state = 'active' and query like 'select pg_sleep%'",
    );
    return rows.length;
  };
  const sleep = sql`select pg_sleep(600)`;

  it.each([
    ['by itself', () => server.url],
    ['through PgBouncer', () => pooler.url],
  ])('is given up by the client, and ended in the database: %s', async (_, url) => {
    const { database, ofTenant } = (await open(url(), 400)).databases;
    const failed = { code: 'database_unavailable', retryable: true };
    const asked = [
      sleep.execute(database),
      database.transaction().execute((transaction) => sleep.execute(transaction)),
      ofTenant('tnt_1')
        .database.transaction()
        .execute((transaction) => sleep.execute(transaction)),
      sleep.execute(ofTenant('tnt_1').searching),
    ].map((asking) => expect(asking).rejects.toMatchObject(failed));
    await vi.waitFor(async () => expect(await sleeping()).toBeGreaterThan(0), PATIENT);
    await Promise.all(asked);
    await vi.waitFor(async () => expect(await sleeping()).toBe(0), PATIENT);
  });

  it('holds for the statement alone: the next one on the same session has what the role has', async () => {
    const { database } = (await open(server.url, 400)).databases;
    const own = new Client({ connectionString: server.url });
    await own.connect();
    await own.query("select set_config('statement_timeout', '7s', false)");
    expect((await own.query('show statement_timeout')).rows).toEqual([{ statement_timeout: '7s' }]);
    await own.end();
    const { rows } = await sql<{ statement_timeout: string }>`show statement_timeout`.execute(database);
    expect(rows).toEqual([{ statement_timeout: '1400ms' }]);
  });

  it('does not hold for migrations of the schema, not even the one of the role', async () => {
    await watching.query("alter role chatsphere set statement_timeout = '300ms'");
    try {
      const url = await server.createDatabase('patient');
      const blocking = new Client({ connectionString: url.replace('//chatsphere@', '//postgres@') });
      await blocking.connect();
      await blocking.query('begin');
      await blocking.query('select pg_advisory_xact_lock(7246532)');
      const migrating = open(url, 60_000);
      const waits = async () => {
        const { rows } = await watching.query(
          `select 1 from pg_stat_activity where datname = 'patient' and wait_event = 'advisory'
            and query_start < now() - interval '600 ms'`,
        );
        return rows.length;
      };
      await vi.waitFor(async () => expect(await waits()).toBe(1), PATIENT);
      await blocking.query('commit');
      await blocking.end();
      expect(await (await migrating).store.system.getSetting('none')).toBeNull();
    } finally {
      await watching.query('alter role chatsphere reset statement_timeout');
    }
  });
});
