import { afterAll } from 'vitest';
import { silentLogger, systemClock } from '../../kernel/index.ts';
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
  const open = async () => {
    const server = await startTestPostgres();
    const postgres = openPostgres({
      url: server.url,
      clock: systemClock,
      logger: silentLogger,
    });
    await postgres.store.start();
    return { server, postgres };
  };
  const openOnce = async () => {
    opened ??= open();
    return (await opened).postgres.store;
  };

  describeStoreContract('PostgreSQL', openOnce);
  describeUsageContract('PostgreSQL', openOnce);
});
