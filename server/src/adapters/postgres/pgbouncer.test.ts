import { afterAll, expect, it } from 'vitest';
import { silentLogger, systemClock } from '../../kernel/index.ts';
import { describeStoreContract } from '../../store/store.contract.ts';
import { openPostgres, type Postgres } from './index.ts';
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

  it('tells other processes, which listen at the database itself', async () => {
    const { postgres } = await openOnce();
    expect(postgres.bus.hears()).toBe(true);
    const heard = new Promise<string>((resolve) => postgres.bus.subscribe('a', { message: resolve }));
    postgres.bus.publish('a', 'through the pooler');
    expect(await heard).toBe('through the pooler');
  });
});
