import { afterEach } from 'vitest';
import { createFakeJobStore } from '../adapters/fakes/index.ts';
import { openSqlite } from '../adapters/sqlite/index.ts';
import { silentLogger, systemClock } from '../kernel/index.ts';
import { describeJobClaimsContract } from './job-claims.contract.ts';

const cleanups: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

describeJobClaimsContract('fake', async () => {
  const store = createFakeJobStore();
  const tenant = store.forTenant('tnt_1');
  return {
    claims: store.system.jobs,
    jobs: tenant.jobs,
    othersJobs: store.forTenant('tnt_2').jobs,
    fenced: (lease, effect) => tenant.fencedTransaction(lease, async () => effect()),
  };
});

describeJobClaimsContract('SQLite', async () => {
  const { store } = openSqlite({ file: ':memory:', clock: systemClock, logger: silentLogger });
  cleanups.push(() => store.stop());
  await store.start();
  for (const id of ['tnt_1', 'tnt_2']) await store.tenants.create({ id, name: id, createdAt: 0, updatedAt: 0 });
  const tenant = store.forTenant('tnt_1');
  return {
    claims: store.system.jobs,
    jobs: tenant.jobs,
    othersJobs: store.forTenant('tnt_2').jobs,
    fenced: (lease, effect) => tenant.fencedTransaction(lease, async () => effect()),
  };
});
