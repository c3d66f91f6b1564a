import { afterAll } from 'vitest';
import { silentLogger, systemClock } from '../../kernel/index.ts';
import { describeLeaseContract } from '../../store/leases.contract.ts';
import { describeStoreContract } from '../../store/store.contract.ts';
import { describeUsageContract } from '../../store/usage.contract.ts';
import { openPostgres, type Postgres } from './index.ts';
import { describeWithPostgres, startTestPostgres, type TestPostgres } from './postgres-server.contract.ts';

describeWithPostgres('PostgreSQL', () => {
  let opened: Promise<{ readonly server: TestPostgres; readonly postgres: Postgres }> | null = null;
  afterAll(async () => {
    const { server, postgres } = (await opened) ?? {};
    await postgres?.store.stop();
    await server?.remove();
  });
  const connect = async ({ url }: TestPostgres) => {
    const postgres = openPostgres({ url, clock: systemClock, logger: silentLogger });
    await postgres.store.start();
    return postgres;
  };
  const open = async () => {
    const server = await startTestPostgres();
    return { server, postgres: await connect(server) };
  };
  const openOnce = async () => {
    opened ??= open();
    return (await opened).postgres.store;
  };
  const openTwo = async () => {
    const one = await openOnce();
    const server = (await opened)?.server;
    if (server === undefined) throw new Error('no server');
    const { store: other } = await connect(server);
    afterAll(() => other.stop());
    return [one, other] as const;
  };

  describeStoreContract('PostgreSQL', openOnce);
  describeUsageContract('PostgreSQL', openOnce);
  describeLeaseContract('PostgreSQL', openTwo);
});
