import { afterAll, beforeAll, expect, it } from 'vitest';
import { silentLogger, systemClock } from '../../kernel/index.ts';
import type { Store } from '../../store/index.ts';
import { createSamples, createTenantWithBot } from '../../store/store-samples.contract.ts';
import { openPostgres } from './index.ts';
import { describeWithPostgres, startTestPostgres, type TestPostgres } from './postgres-server.contract.ts';

const JOBS = 120;
const LEASE_MS = 60_000;
const samples = createSamples('pgj');

describeWithPostgres('jobs of PostgreSQL under several processes', () => {
  let server: TestPostgres;
  const stores: Store[] = [];
  beforeAll(async () => {
    server = await startTestPostgres();
    for (let process = 0; process < 3; process += 1) {
      const { store } = openPostgres({ url: server.url, connections: 4, clock: systemClock, logger: silentLogger });
      stores.push(store);
    }
    // At once: one of them makes the tables, the others wait for it.
    await Promise.all(stores.map((store) => store.start()));
  });
  afterAll(async () => {
    await Promise.all(stores.map((store) => store.stop()));
    await server?.remove();
  });

  it('gives each job to one claim of many at once, and loses none', async () => {
    const [first] = stores;
    if (first === undefined) throw new Error('No store was opened.');
    const kind = 'pgj-claims';
    const tenants = [
      await createTenantWithBot(first, samples),
      await createTenantWithBot(first, samples),
      await createTenantWithBot(first, samples),
    ];
    const ids = new Set<string>();
    const create = async (number: number): Promise<void> => {
      const { tenant, botId } = tenants[number % tenants.length] ?? tenants[0] ?? never();
      const job = samples.job({ botId, kind, priority: number % 4 });
      ids.add(job.id);
      await tenant.jobs.create(job);
    };
    const claimed: string[] = [];
    const work = async (store: Store, owner: string): Promise<void> => {
      while (claimed.length < JOBS) {
        const now = systemClock.now();
        const job = await store.system.jobs.claim({ owner, kinds: [kind], now, leaseMs: LEASE_MS, maxPriority: null });
        if (job === null) continue;
        claimed.push(job.id);
        expect(job.fencingToken).toBe(1);
        const lease = { jobId: job.id, fencingToken: job.fencingToken };
        expect(await store.system.jobs.release(lease, { type: 'succeeded' }, systemClock.now())).toMatchObject({
          state: 'succeeded',
        });
      }
    };
    const tidying = async (): Promise<void> => {
      while (claimed.length < JOBS) await first.system.jobs.tidyQueues();
    };
    await Promise.all([
      ...Array.from({ length: JOBS }, (_, number) => create(number)),
      ...stores.flatMap((store, process) => [work(store, `${process}a`), work(store, `${process}b`)]),
      tidying(),
    ]);
    expect(claimed.toSorted()).toEqual([...ids].toSorted());
  });

  it('lets one of two who release and take over the same job have it', async () => {
    const [here, there] = stores;
    if (here === undefined || there === undefined) throw new Error('No store was opened.');
    const kind = 'pgj-takeover';
    const { tenant, botId } = await createTenantWithBot(here, samples);
    for (let round = 0; round < 20; round += 1) {
      const job = samples.job({ botId, kind });
      await tenant.jobs.create(job);
      const now = systemClock.now();
      const wanted = { kinds: [kind], leaseMs: 1, maxPriority: null };
      const held = await here.system.jobs.claim({ ...wanted, owner: 'here', now });
      const lease = { jobId: job.id, fencingToken: held?.fencingToken ?? 0 };
      const [released, taken] = await Promise.all([
        here.system.jobs.release(lease, { type: 'succeeded' }, now + 2),
        there.system.jobs.claim({ ...wanted, owner: 'there', now: now + 2 }),
      ]);
      expect([released === null, taken === null]).toEqual([taken !== null, released !== null]);
      if (taken !== null) {
        const second = { jobId: job.id, fencingToken: taken.fencingToken };
        await there.system.jobs.release(second, { type: 'succeeded' }, now + 3);
      }
    }
  });
});

function never(): never {
  throw new Error('There is no tenant.');
}
