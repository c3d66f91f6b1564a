import { describe, expect, it } from 'vitest';
import type { Job, JobClaims, JobFilter, JobLease, JobOutcome, JobRepository } from '../store/index.ts';

/** A store with jobs, opened for one case. */
export interface JobClaimsUnderTest {
  readonly claims: JobClaims;
  readonly jobs: JobRepository;
  /** Another tenant's view of the same store. */
  readonly othersJobs: JobRepository;
  /** Runs the effect under the fence of the lease, in the tenant of `jobs`. */
  fenced(lease: JobLease, effect: () => void): Promise<void>;
}

const NOW = 1_700_000_000_000;
const LEASE_MS = 15_000;
const error = { code: 'embedding_failed', message: 'The embedder refused.' };

/** What every store owes to the job runner. `make` returns an empty store. */
export function describeJobClaimsContract(name: string, make: () => Promise<JobClaimsUnderTest>): void {
  describe(`job claims contract: ${name}`, () => {
    const open = async () => {
      const store = await make();
      let made = 0;
      const add = async (changes: Partial<Job> = {}): Promise<string> => {
        made += 1;
        const job = newJob({ id: `job_${made}`, createdAt: NOW - 1_000 + made, ...changes });
        await store.jobs.create(job);
        return job.id;
      };
      const claim = (now = NOW, maxPriority: number | null = null, owner = 'a'): Promise<Job | null> =>
        store.claims.claim({ owner, kinds: ['train'], now, leaseMs: LEASE_MS, maxPriority });
      const claimed = async (now = NOW): Promise<Job> => present(await claim(now));
      const get = async (id: string): Promise<Job> => present(await store.jobs.get(id));
      const release = async (job: Job, outcome: JobOutcome, now = NOW) =>
        (await store.claims.release(leaseOf(job), outcome, now)) !== null;
      return { ...store, add, claim, claimed, get, release };
    };

    it('claims nothing where there is nothing', async () => {
      const { claim, claims } = await open();
      expect(await claim()).toBeNull();
      expect(await claims.findClaimable(NOW, 10)).toEqual([]);
      expect(await claims.findUnsettled(['train'], 10)).toEqual([]);
    });

    it('leases a job to its owner under a new token and counts the attempt', async () => {
      const { add, claimed, get } = await open();
      const id = await add();
      const before = await get(id);
      const job = await claimed();
      expect(job).toMatchObject({
        id,
        state: 'running',
        attempts: 1,
        lease: { owner: 'a', expiresAt: NOW + LEASE_MS },
        payload: { depth: { list: [1, 'two', null] } },
      });
      expect(job.fencingToken).toBeGreaterThan(before.fencingToken);
      expect(await get(id)).toEqual(job);
    });

    it('claims by priority, then run time, then age', async () => {
      const { add, claimed } = await open();
      await add({ id: 'slow', priority: 20, runAt: NOW - 9_000 });
      await add({ id: 'older', runAt: NOW - 10 });
      await add({ id: 'younger', runAt: NOW - 10 });
      await add({ id: 'due first', runAt: NOW - 5_000 });
      const order = [await claimed(), await claimed(), await claimed(), await claimed()].map((job) => job.id);
      expect(order).toEqual(['due first', 'older', 'younger', 'slow']);
    });

    it('lets age outweigh priority in the end', async () => {
      const { add, claimed } = await open();
      await add({ id: 'bulk', priority: 40, runAt: NOW - 5 * 60_000 });
      for (let job = 0; job < 3; job += 1) await add({ id: `urgent_${job}`, priority: 5, runAt: NOW - 1_000 });
      expect((await claimed()).id).toBe('bulk');
    });

    it('lets a tenant with one job pass another with many', async () => {
      const { add, claimed, release, othersJobs } = await open();
      for (let job = 0; job < 20; job += 1) await add();
      for (let served = 0; served < 5; served += 1) await release(await claimed(), { type: 'succeeded' }, NOW + 1_000);
      await othersJobs.create(newJob({ id: 'lonely', priority: 60, runAt: NOW - 1 }));
      expect((await claimed()).id).toBe('lonely');
    });

    it('gives tenants and bots equal shares of time, not of claims', async () => {
      const { add, claim, release, othersJobs } = await open();
      for (let job = 0; job < 200; job += 1) {
        await add({ botId: null });
        await othersJobs.create(newJob({ id: `other_${job}` }));
      }
      const time = { tnt_1: 0, tnt_2: 0 };
      let now = NOW;
      for (let claims = 0; claims < 150; claims += 1) {
        const job = present(await claim(now));
        const took = job.tenantId === 'tnt_1' ? 400 : 100;
        now += took;
        time[job.tenantId as 'tnt_1' | 'tnt_2'] += took;
        await release(job, { type: 'succeeded' }, now);
      }
      expect(Math.abs(time.tnt_1 - time.tnt_2)).toBeLessThan(2_500);
    });

    it('does not let the idle save time up', async () => {
      const { add, claim, release, othersJobs } = await open();
      for (let job = 0; job < 60; job += 1) await add();
      let now = NOW;
      const serve = async (): Promise<string> => {
        const job = present(await claim(now));
        now += 1_000;
        await release(job, { type: 'succeeded' }, now);
        return job.tenantId;
      };
      for (let served = 0; served < 30; served += 1) await serve();
      for (let job = 0; job < 60; job += 1) await othersJobs.create(newJob({ id: `other_${job}` }));
      const served = [];
      for (let round = 0; round < 12; round += 1) served.push(await serve());
      expect(served.filter((tenant) => tenant === 'tnt_1').length).toBeGreaterThanOrEqual(4);
    });

    it('queues what gives its place away behind the others, with its progress', async () => {
      const { add, claim, claimed, claims, get, release } = await open();
      const long = await add({ id: 'long', runAt: NOW - 10 });
      await add({ id: 'short', runAt: NOW - 5 });
      const job = await claimed();
      await claims.progress(leaseOf(job), { done: 3, total: 9 }, NOW);
      const resume = { input: 3, from: null };
      expect(await release(job, { type: 'yielded', resume }, NOW + 2_000)).toBe(true);
      const yielded = { state: 'queued', stage: 'loading', attempts: 0, progress: { done: 3, total: 9 }, resume };
      expect(await get(long)).toMatchObject({ ...yielded, lease: null, lastError: null });
      expect(await claim(NOW + 2_000)).toMatchObject({ id: 'short' });
      const again = present(await claim(NOW + 2_000));
      expect(again).toMatchObject({ id: 'long', attempts: 1, resume });
      await release(again, { type: 'next-stage', stage: 'embedding', priority: 20 }, NOW + 3_000);
      expect(await get(long)).not.toHaveProperty('resume');
    });

    it('finds ended jobs by state, kind, bot, source and code', async () => {
      const { add, claimed, jobs, othersJobs, release } = await open();
      await add({ sourceId: 'src_1' });
      await release(await claimed(), { type: 'failed', error });
      await add();
      await release(await claimed(), { type: 'failed', error: { code: 'parse_failed', message: 'embedding_failed' } });
      await add();
      const page = { limit: 10, order: 'asc' } as const;
      const ids = async (filter: JobFilter) => (await jobs.list({ ...page, ...filter })).items.map(({ id }) => id);
      expect(await ids({})).toEqual(['job_1', 'job_2', 'job_3']);
      expect(await ids({ state: 'failed' })).toEqual(['job_1', 'job_2']);
      expect(await ids({ state: 'failed', errorCode: 'embedding_failed' })).toEqual(['job_1']);
      expect(await ids({ state: 'queued' })).toEqual(['job_3']);
      expect(await ids({ kind: 'other' })).toEqual([]);
      expect(await ids({ sourceId: 'src_1' })).toEqual(['job_1']);
      expect(await ids({ botIds: [] })).toEqual([]);
      expect((await othersJobs.list({ ...page, state: 'failed' })).items).toEqual([]);
    });

    it('counts what waits, and for how long', async () => {
      const { add, claimed, claims } = await open();
      expect(await claims.countQueued(NOW)).toEqual([]);
      await add({ runAt: NOW - 900 });
      await add({ runAt: NOW - 500 });
      await add({ stage: 'embedding', runAt: NOW + 1 });
      await claimed();
      expect(await claims.countQueued(NOW)).toEqual(
        expect.arrayContaining([
          { kind: 'train', stage: 'loading', jobs: 1, dueSince: NOW - 500 },
          { kind: 'train', stage: 'embedding', jobs: 1, dueSince: null },
        ]),
      );
    });

    it('removes ended jobs after their time, and no others', async () => {
      const { add, claimed, claims, jobs, release } = await open();
      for (let job = 0; job < 4; job += 1) await add();
      await release(await claimed(), { type: 'succeeded' }, NOW + 1);
      await release(await claimed(), { type: 'failed', error }, NOW + 1);
      await claimed();
      expect(await claims.removeEnded({ succeeded: NOW + 1, failed: NOW }, 10)).toBe(0);
      expect(await claims.removeEnded({ succeeded: NOW + 2, failed: NOW }, 10)).toBe(1);
      expect(await claims.removeEnded({ succeeded: NOW + 2, failed: NOW + 2 }, 10)).toBe(1);
      const left = (await jobs.list({ limit: 10, order: 'asc' })).items.map(({ id }) => id);
      expect(left).toEqual(['job_3', 'job_4']);
    });

    it('forgets empty queues without losing a job', async () => {
      const { add, claim, claimed, claims, jobs, release } = await open();
      const id = await add();
      await claims.tidyQueues();
      await release(await claimed(), { type: 'failed', error });
      await claims.tidyQueues();
      expect(await claim()).toBeNull();
      await jobs.retry(id, { now: NOW, deadlineAt: NOW + 99_000 });
      expect(await claim()).toMatchObject({ id });
    });

    it('leaves alone what is not due, of another kind, above the priority asked for, or held', async () => {
      const { add, claim, claims } = await open();
      await add({ runAt: NOW + 1 });
      await add({ kind: 'other' });
      const slow = await add({ priority: 11 });
      expect(await claim(NOW, 10)).toBeNull();
      expect(await claim(NOW, 11)).toMatchObject({ id: slow });
      expect(await claim(NOW)).toBeNull();
      expect(await claims.findClaimable(NOW, 10)).toEqual(['job_2']);
    });

    it('gives one job to one of many who claim at once', async () => {
      const { add, claim } = await open();
      for (let job = 0; job < 5; job += 1) await add();
      const owners = Array.from({ length: 20 }, (_, owner) => `owner_${owner}`);
      const jobs = await Promise.all(owners.map((owner) => claim(NOW, null, owner)));
      const ids = jobs.filter((job) => job !== null).map((job) => job.id);
      expect(ids).toHaveLength(5);
      expect(new Set(ids).size).toBe(5);
    });

    it('keeps a lease by heartbeats, and shows a request to cancel', async () => {
      const { add, claim, claimed, claims, jobs } = await open();
      const id = await add();
      const job = await claimed();
      const times = { now: NOW + 10_000, expiresAt: NOW + 25_000 };
      expect(await claims.heartbeat(leaseOf(job), times)).toMatchObject({ id, cancelRequested: false });
      expect(await claim(NOW + 24_999)).toBeNull();
      await jobs.requestCancel(id, NOW + 11_000);
      expect(await claims.heartbeat(leaseOf(job), times)).toMatchObject({ state: 'running', cancelRequested: true });
    });

    it('hands an expired lease to the next, and fences the zombie out for good', async () => {
      const { add, claimed, claims, fenced, get, release } = await open();
      const id = await add();
      const zombie = await claimed();
      expect(await claims.findClaimable(NOW + LEASE_MS - 1, 10)).toEqual([]);
      expect(await claims.findClaimable(NOW + LEASE_MS, 10)).toEqual([id]);
      const heir = await claimed(NOW + LEASE_MS);
      expect(heir).toMatchObject({ id, attempts: 2 });
      expect(heir.fencingToken).toBeGreaterThan(zombie.fencingToken);

      const effects: string[] = [];
      const late = NOW + LEASE_MS + 1;
      await expect(fenced(leaseOf(zombie), () => effects.push('zombie'))).rejects.toMatchObject({
        code: 'job_lease_lost',
      });
      expect(await claims.heartbeat(leaseOf(zombie), { now: late, expiresAt: late + LEASE_MS })).toBeNull();
      expect(await claims.progress(leaseOf(zombie), { done: 9, total: 9 }, late)).toBe(false);
      expect(await release(zombie, { type: 'succeeded' }, late)).toBe(false);
      expect(await get(id)).toEqual(heir);

      await fenced(leaseOf(heir), () => effects.push('heir'));
      expect(await release(heir, { type: 'succeeded' }, late)).toBe(true);
      await expect(fenced(leaseOf(heir), () => effects.push('late heir'))).rejects.toMatchObject({
        code: 'job_lease_lost',
      });
      expect(effects).toEqual(['heir']);
    });

    it('queues the next stage at once, with attempts and progress from zero', async () => {
      const { add, claimed, claims, get, release } = await open();
      const id = await add();
      const job = await claimed();
      await claims.progress(leaseOf(job), { done: 3, total: 3 }, NOW);
      expect(await release(job, { type: 'next-stage', stage: 'embedding', priority: 20 }, NOW + 5)).toBe(true);
      expect(await get(id)).toMatchObject({
        state: 'queued',
        stage: 'embedding',
        priority: 20,
        attempts: 0,
        progress: { done: 0, total: 0 },
        lease: null,
        lastError: null,
        runAt: NOW + 5,
        updatedAt: NOW + 5,
      });
    });

    it('gives the job as it is after its run', async () => {
      const { add, claimed, claims, get } = await open();
      const id = await add();
      const job = await claimed();
      const outcome = { type: 'next-stage', stage: 'embedding', priority: 20 } as const;
      expect(await claims.release(leaseOf(job), outcome, NOW + 5)).toEqual(await get(id));
      expect(await claims.release(leaseOf(job), outcome, NOW + 6)).toBeNull();
    });

    it('ends a job as succeeded, once', async () => {
      const { add, claim, claimed, claims, get, release } = await open();
      const id = await add();
      const job = await claimed();
      const progress = { done: 4, total: 4 };
      expect(await release(job, { type: 'succeeded', progress }, NOW + 5)).toBe(true);
      expect(await release(job, { type: 'failed', error }, NOW + 6)).toBe(false);
      expect(await get(id)).toMatchObject({
        state: 'succeeded',
        progress,
        lease: null,
        finishedAt: NOW + 5,
        lastError: null,
      });
      expect(await claim(NOW + LEASE_MS)).toBeNull();
      expect(await claims.findUnsettled(['train'], 10)).toEqual([]);
    });

    it('puts a retry off until its time and keeps its error', async () => {
      const { add, claim, claimed, get, release } = await open();
      const id = await add();
      await release(await claimed(), { type: 'retry', error, runAt: NOW + 1_000 });
      expect(await get(id)).toMatchObject({ state: 'queued', attempts: 1, lastError: error, lease: null });
      expect(await claim(NOW + 999)).toBeNull();
      expect(await claim(NOW + 1_000)).toMatchObject({ id, attempts: 2 });
    });

    it('does not count an attempt that was handed back', async () => {
      const { add, claim, claimed, release } = await open();
      const id = await add();
      await release(await claimed(), { type: 'handed-back' });
      expect(await claim()).toMatchObject({ id, attempts: 1 });
    });

    it('counts attempts from one again when a run gets further than those before', async () => {
      const { add, claimed, claims, get, release } = await open();
      const id = await add();
      await release(await claimed(), { type: 'retry', error, runAt: NOW });
      const second = await claimed();
      expect(await claims.progress(leaseOf(second), { done: 5, total: 9 }, NOW)).toBe(true);
      expect(await get(id)).toMatchObject({ attempts: 1, progress: { done: 5, total: 9 } });
      await release(second, { type: 'retry', error, runAt: NOW });
      const third = await claimed();
      await claims.progress(leaseOf(third), { done: 5, total: 9 }, NOW);
      expect(await get(id)).toMatchObject({ attempts: 2 });
    });

    it.each(['failed', 'cancelled'] as const)('remembers that a %s job was not settled yet', async (type) => {
      const { add, claimed, claims, get, jobs, release } = await open();
      const id = await add();
      const job = await claimed();
      expect(await claims.settle(id)).toBe(false);
      await release(job, type === 'failed' ? { type, error } : { type }, NOW + 5);
      expect(await get(id)).toMatchObject({ state: type, finishedAt: NOW + 5, lease: null });
      expect((await claims.findUnsettled(['train'], 10)).map((found) => found.id)).toEqual([id]);
      expect(await claims.findUnsettled(['other'], 10)).toEqual([]);
      expect(await claims.settle(id)).toBe(true);
      expect(await claims.settle(id)).toBe(false);
      expect(await claims.findUnsettled(['train'], 10)).toEqual([]);

      expect(await jobs.retry(id, { now: NOW + 10, deadlineAt: NOW + 99_000 })).toMatchObject({
        state: 'queued',
        stage: 'loading',
        attempts: 0,
        cancelRequested: false,
        finishedAt: null,
        runAt: NOW + 10,
        deadlineAt: NOW + 99_000,
      });
      await release(await claimed(NOW + 10), { type: 'failed', error }, NOW + 11);
      expect(await claims.findUnsettled(['train'], 10)).toHaveLength(1);
    });

    it('cancels a queued job at once, to be settled', async () => {
      const { add, claim, claims, jobs, othersJobs } = await open();
      const id = await add();
      expect(await othersJobs.requestCancel(id, NOW)).toBeNull();
      expect(await jobs.requestCancel(id, NOW)).toMatchObject({ state: 'cancelled', finishedAt: NOW });
      expect(await jobs.requestCancel(id, NOW)).toBeNull();
      expect(await claim()).toBeNull();
      expect(await claims.findUnsettled(['train'], 10)).toHaveLength(1);
    });

    it('finds overdue jobs, and fails them from outside their lease', async () => {
      const { add, claimed, claims, fenced, get, release } = await open();
      const id = await add({ deadlineAt: NOW + 50 });
      await add({ deadlineAt: NOW + 99, runAt: NOW + 99 });
      const job = await claimed();
      expect(await claims.findOverdue(NOW + 49, 10)).toEqual([]);
      expect((await claims.findOverdue(NOW + 51, 10)).map((found) => found.id)).toEqual([id]);
      expect(await claims.fail(id, error, NOW + 51)).toBe(true);
      expect(await claims.fail(id, error, NOW + 51)).toBe(false);
      expect(await get(id)).toMatchObject({ state: 'failed', lastError: error, lease: null, finishedAt: NOW + 51 });
      expect(await release(job, { type: 'succeeded' }, NOW + 52)).toBe(false);
      await expect(fenced(leaseOf(job), () => {})).rejects.toMatchObject({ code: 'job_lease_lost' });
      expect((await claims.findUnsettled(['train'], 10)).map((found) => found.id)).toEqual([id]);
    });

    it('ends all leases when it is told that their owners are dead', async () => {
      const { add, claimed, claims, get, release } = await open();
      const id = await add();
      const dead = await claimed();
      expect(await claims.expireAllLeases(NOW + 1)).toBe(1);
      expect(await claims.findClaimable(NOW + 1, 10)).toEqual([id]);
      const heir = await claimed(NOW + 1);
      expect(await release(dead, { type: 'succeeded' }, NOW + 2)).toBe(false);
      expect(await get(id)).toEqual(heir);
      await release(heir, { type: 'succeeded' }, NOW + 2);
      expect(await claims.expireAllLeases(NOW + 3)).toBe(0);
    });

    it('returns no more than it was asked for', async () => {
      const { add, claims } = await open();
      for (let job = 0; job < 4; job += 1) await add({ deadlineAt: NOW - 1 });
      expect(await claims.findClaimable(NOW, 3)).toHaveLength(3);
      expect(await claims.findOverdue(NOW, 3)).toHaveLength(3);
      for (let job = 1; job <= 4; job += 1) await claims.fail(`job_${job}`, error, NOW);
      expect(await claims.findUnsettled(['train'], 3)).toHaveLength(3);
    });
  });
}

/** A queued job that is due, for the parts a test does not name. */
export function newJob(changes: Partial<Job>): Omit<Job, 'tenantId'> {
  const { tenantId: _, ...job }: Job = {
    id: 'job_1',
    tenantId: '',
    botId: null,
    sourceId: null,
    kind: 'train',
    state: 'queued',
    stage: 'loading',
    priority: 10,
    progress: { done: 0, total: 0 },
    attempts: 0,
    maxAttempts: 3,
    lease: null,
    fencingToken: 0,
    lastError: null,
    cancelRequested: false,
    runAt: NOW - 100,
    deadlineAt: NOW + 3_600_000,
    payload: { depth: { list: [1, 'two', null] } },
    createdAt: NOW - 100,
    updatedAt: NOW - 100,
    finishedAt: null,
    ...changes,
  };
  return job;
}

function leaseOf({ id, fencingToken }: Job): JobLease {
  return { jobId: id, fencingToken };
}

function present(job: Job | null): Job {
  if (job === null) throw new Error('There is no job.');
  return job;
}
