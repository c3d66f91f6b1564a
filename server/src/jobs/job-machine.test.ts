import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { createFakeJobStore, type FakeJobStore } from '../adapters/fakes/index.ts';
import { openSqlite } from '../adapters/sqlite/index.ts';
import { silentLogger, systemClock } from '../kernel/index.ts';
import type { Job, JobLease, JobOutcome } from '../store/index.ts';
import { newJob } from './job-claims.contract.ts';

type Jobs = Pick<FakeJobStore, 'forTenant' | 'system'>;

const error = { code: 'embedding_failed', message: 'no' };
const OUTCOMES: readonly ((now: number) => JobOutcome)[] = [
  () => ({ type: 'succeeded' }),
  () => ({ type: 'failed', error }),
  () => ({ type: 'cancelled' }),
  () => ({ type: 'handed-back' }),
  () => ({ type: 'yielded', resume: { at: 1 } }),
  () => ({ type: 'next-stage', stage: 'embedding', priority: 20 }),
  (now) => ({ type: 'retry', error, runAt: now + 700 }),
];
const JOBS = 6;
const step = fc.tuple(
  fc.constantFrom('claim', 'release', 'late', 'wait', 'cancel', 'retry', 'fail', 'progress', 'crash', 'tidy'),
  fc.nat({ max: 1_000 }),
);

/** Jobs of two tenants under random steps; every job must end, and none may succeed twice or run twice at once. */
async function runSteps(store: Jobs, steps: readonly (readonly [string, number])[], prefix: string): Promise<void> {
  let now = 1_700_000_000_000;
  const { jobs: claims } = store.system;
  const tenantOf = (number: number) => store.forTenant(`tnt_${1 + (number % 2)}`);
  const idOf = (number: number) => `job_${prefix}_${number % JOBS}`;
  const leases: { readonly job: Job; readonly lease: JobLease; readonly until: number }[] = [];
  const succeeded = new Map<string, number>();
  for (let number = 0; number < JOBS; number += 1) {
    const job = newJob({ id: idOf(number), kind: prefix, priority: [5, 20, 60][number % 3] ?? 5, runAt: now });
    await tenantOf(number).jobs.create({ ...job, deadlineAt: now + 1e12 });
  }

  async function claim(): Promise<boolean> {
    const job = await claims.claim({ owner: 'w', kinds: [prefix], now, leaseMs: 1_000, maxPriority: null });
    if (job === null) return false;
    const running = leases.filter((held) => held.job.id === job.id && held.until > now);
    expect(running, 'a job runs twice at once').toEqual([]);
    expect(succeeded.has(job.id), 'a job runs after it has succeeded').toBe(false);
    leases.push({ job, lease: { jobId: job.id, fencingToken: job.fencingToken }, until: now + 1_000 });
    return true;
  }
  async function release(place: number, outcome: JobOutcome): Promise<void> {
    const [held] = leases.splice(place, 1);
    if (held === undefined) return;
    const done = (await claims.release(held.lease, outcome, now)) !== null;
    if (done && outcome.type === 'succeeded') succeeded.set(held.job.id, (succeeded.get(held.job.id) ?? 0) + 1);
  }

  for (const [kind, number] of steps) {
    const place = leases.length === 0 ? 0 : number % leases.length;
    if (kind === 'claim') await claim();
    else if (kind === 'release')
      await release(place, (OUTCOMES[number % OUTCOMES.length] ?? OUTCOMES[0])?.(now) as JobOutcome);
    else if (kind === 'wait') now += number;
    else if (kind === 'late') {
      now += 1_001;
      await claim();
      await release(place, { type: 'succeeded' });
    } else if (kind === 'cancel') await tenantOf(number % JOBS).jobs.requestCancel(idOf(number), now);
    else if (kind === 'retry') await tenantOf(number % JOBS).jobs.retry(idOf(number), { now, deadlineAt: now + 1e12 });
    else if (kind === 'fail') {
      if (await claims.fail(idOf(number), error, now)) {
        for (let held = leases.length - 1; held >= 0; held -= 1)
          if (leases[held]?.job.id === idOf(number)) leases.splice(held, 1);
      }
    } else if (kind === 'progress') {
      const held = leases[place];
      if (held) await claims.progress(held.lease, { done: number, total: 1_000 }, now);
    } else if (kind === 'crash') {
      await claims.expireAllLeases(now);
      leases.length = 0;
    } else await claims.tidyQueues();
  }

  now += 10_000;
  await claims.tidyQueues();
  for (let rounds = 0; await claim(); rounds += 1) {
    expect(rounds).toBeLessThan(JOBS);
    await release(leases.length - 1, { type: 'succeeded' });
  }
  for (let number = 0; number < JOBS; number += 1) {
    const job = await tenantOf(number).jobs.get(idOf(number));
    expect(job?.state, `${idOf(number)} is left behind`).toMatch(/^(succeeded|failed|cancelled)$/);
    expect(succeeded.get(idOf(number)) ?? 0).toBe(job?.state === 'succeeded' ? 1 : 0);
  }
}

describe('jobs under random steps', () => {
  const { store } = openSqlite({ file: ':memory:', clock: systemClock, logger: silentLogger });
  let runs = 0;
  let started: Promise<void> | null = null;
  afterAll(() => store.stop());
  const sqlite = async (): Promise<Jobs> => {
    started ??= store.start().then(async () => {
      for (const id of ['tnt_1', 'tnt_2']) await store.tenants.create({ id, name: id, createdAt: 0, updatedAt: 0 });
    });
    await started;
    return store as unknown as Jobs;
  };

  it.each([
    ['the fake', async () => createFakeJobStore()],
    ['SQLite', sqlite],
  ] as const)('of %s: none is lost, and none succeeds or runs twice', async (_name, open) => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        runs += 1;
        await runSteps(await open(), steps, `kind${runs}`);
      }),
      { numRuns: 60 },
    );
  });
});
