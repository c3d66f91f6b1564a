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
    // One session, which all share.
    const single = await startPgBouncer(server, { connections: 1 });
    const own = new Client({ connectionString: single.url });
    const postgres = openPostgres({
      ...{ url: single.url, listenUrl: server.url, statementTimeoutMs: 400 },
      ...{ clock: systemClock, logger: silentLogger },
    });
    try {
      await own.connect();
      const ofSession = async () =>
        (await own.query('select pg_backend_pid() as session, current_setting($1) as timeout', ['statement_timeout']))
          .rows[0];
      const { database, ofTenant } = postgres.databases;
      const asked = sql<{ session: number; timeout: string }>`select pg_backend_pid() as session,
        current_setting('statement_timeout') as timeout`;
      await postgres.store.start();
      const before = await ofSession();
      expect(before.timeout).toBe('0');
      const ways = [
        () => asked.execute(database),
        () => database.transaction().execute((transaction) => asked.execute(transaction)),
        () => asked.execute(ofTenant('tnt_1').searching),
      ];
      for (const way of ways) {
        expect((await way()).rows).toEqual([{ session: before.session, timeout: '1400ms' }]);
        expect(await ofSession()).toEqual(before);
      }
    } finally {
      await own.end();
      await postgres.store.stop();
      await single.stop();
    }
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
