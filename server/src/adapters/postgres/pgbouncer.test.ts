import { sql } from 'kysely';
import { afterAll, expect, it, vi } from 'vitest';
import { silentLogger, systemClock } from '../../kernel/index.ts';
import { describeStoreContract } from '../../store/store.contract.ts';
import { hasServers, openPostgres, openPostgresForFilling, type Postgres } from './index.ts';
import { describeWithPgBouncer, startPgBouncer, type TestPgBouncer } from './pgbouncer.contract.ts';
import { startTestPostgres, type TestPostgres } from './postgres-server.contract.ts';

interface Opened {
  readonly server: TestPostgres;
  readonly pooler: TestPgBouncer;
  readonly postgres: Postgres;
}

describeWithPgBouncer('PostgreSQL behind PgBouncer', () => {
  let opened: Promise<Opened> | null = null;
  const open = async (): Promise<Opened> => {
    const server = await startTestPostgres();
    const pooler = await startPgBouncer(server, { connections: 4 });
    const postgres = openPostgres({
      ...{ url: pooler.url, listenUrl: server.url, connections: 12 },
      ...{ clock: systemClock, logger: silentLogger },
    });
    await postgres.store.start();
    return { server, pooler, postgres };
  };
  const openOnce = () => {
    opened ??= open();
    return opened;
  };
  afterAll(async () => {
    const { server, pooler, postgres } = (await opened) ?? {};
    await postgres?.store.stop();
    await pooler?.stop();
    await server?.remove();
  });

  describeStoreContract('PgBouncer by transaction', async () => (await openOnce()).postgres.store);

  it('does not take what the pooler keeps of a server for that server', async () => {
    const { server, pooler } = await openOnce();
    await server.createDatabase('kept');
    const url = pooler.url.replace(/chatsphere$/, 'kept');
    const { store, databases } = openPostgres({ url, listenUrl: server.url, clock: systemClock, logger: silentLogger });
    await store.start();
    // Side by side, so that they need a connection each.
    await Promise.all([1, 2, 3, 4].map(() => sql`select pg_sleep(0.3)`.execute(databases.database)));
    const filling = await openPostgresForFilling({ url, logger: silentLogger });
    const never = { quietMs: 600_000 };
    expect(await hasServers(filling, never)).toBe(true);
    await store.system.leases.live({ now: systemClock.now(), expiresAt: systemClock.now() + 600_000 });
    await vi.waitFor(async () => expect(await hasServers(filling, { quietMs: 1 })).toBe(true));
    await store.system.leases.end();
    await store.stop();
    await vi.waitFor(async () => expect(await hasServers(filling, { quietMs: 1 })).toBe(false));
    await filling.close();
  });

  it('tells other processes, which listen at the database itself', async () => {
    const { postgres } = await openOnce();
    expect(postgres.bus.hears()).toBe(true);
    const heard = new Promise<string>((resolve) => postgres.bus.subscribe('a', { message: resolve }));
    postgres.bus.publish('a', 'through the pooler');
    expect(await heard).toBe('through the pooler');
  });
});
