import { beforeAll, describe, expect, it } from 'vitest';
import type { Job } from './entities.ts';
import type { JobLease, JobOutcome, Store, TenantStore } from './ports.ts';
import { createSamples, createTenantWithBot } from './store-samples.contract.ts';

const samples = createSamples('job');
const { now } = samples;
const LEASE_MS = 1_000;

/** Leases, fencing and the states of jobs. */
export function describeJobClaims(name: string, open: () => Promise<Store>): void {
  describe(`job claims: ${name}`, () => {
    let store: Store;
    let tenant: TenantStore;
    beforeAll(async () => {
      store = await open();
      ({ tenant } = await createTenantWithBot(store, samples));
    });

    let kinds = 0;
    const newKind = (): string => {
      kinds += 1;
      return `kind-${kinds}`;
    };
    const add = async (changes: Partial<Job>): Promise<string> => {
      const job = samples.job(changes);
      await tenant.jobs.create(job);
      return job.id;
    };
    const claim = (kind: string, at = now, maxPriority: number | null = null) =>
      store.system.jobs.claim({ owner: 'worker', kinds: [kind], now: at, leaseMs: LEASE_MS, maxPriority });
    const claimed = async (kind: string, at = now): Promise<{ readonly job: Job; readonly lease: JobLease }> => {
      const job = await claim(kind, at);
      if (job === null) throw new Error('nothing to claim');
      return { job, lease: { jobId: job.id, fencingToken: job.fencingToken } };
    };

    it('takes due jobs by priority, run time and age', async () => {
      const kind = newKind();
      const late = await add({ kind, priority: 20 });
      const young = await add({ kind, priority: 10, runAt: now });
      const waiting = await add({ kind, priority: 1, runAt: now + 1 });
      const due = await add({ kind, priority: 10, runAt: now - 5 });
      const second = await add({ kind, priority: 10, runAt: now });
      const order = [];
      for (let job = await claim(kind); job !== null; job = await claim(kind)) order.push(job.id);
      expect(order).toEqual([due, young, second, late]);
      expect((await claim(kind, now + 1, 0)) === null).toBe(true);
      expect((await claim(kind, now + 1, 1))?.id).toBe(waiting);
    });

    it('gives each job to one worker alone', async () => {
      const kind = newKind();
      const ids = await Promise.all(Array.from({ length: 20 }, () => add({ kind })));
      const claims = await Promise.all(Array.from({ length: 50 }, () => claim(kind)));
      const taken = claims.flatMap((job) => (job === null ? [] : [job.id]));
      expect(taken.sort()).toEqual(ids.sort());
    });

    it('hands an expired lease to another worker under a higher token', async () => {
      const kind = newKind();
      await add({ kind });
      const first = await claimed(kind);
      expect(first.job).toMatchObject({
        state: 'running',
        attempts: 1,
        lease: { owner: 'worker', expiresAt: now + LEASE_MS },
      });
      expect(await claim(kind, now + LEASE_MS - 1)).toBeNull();
      const second = await claimed(kind, now + LEASE_MS);
      expect(second.lease.fencingToken).toBeGreaterThan(first.lease.fencingToken);
      expect(second.job.attempts).toBe(2);

      const jobs = store.system.jobs;
      expect(await jobs.heartbeat(first.lease, { now, expiresAt: now + 9_999 })).toBeNull();
      expect(await jobs.progress(first.lease, { done: 1, total: 2 }, now)).toBe(false);
      expect(await jobs.release(first.lease, { type: 'succeeded' }, now)).toBeNull();
      const late = tenant.fencedTransaction(first.lease, async () => 'late');
      await expect(late).rejects.toMatchObject({ code: 'job_lease_lost' });
      expect(await tenant.fencedTransaction(second.lease, async () => 'in time')).toBe('in time');
    });

    it('reads along with the lease, and goes no further without it', async () => {
      const kind = newKind();
      const id = await add({ kind });
      const { lease } = await claimed(kind);
      const seen: unknown[] = [];
      const change = (token: number) =>
        tenant.fencedTransactionOn(
          { ...lease, fencingToken: token },
          async ({ jobs }) => (await jobs.get(id))?.state,
          async (_, state) => seen.push(state),
        );
      await expect(change(lease.fencingToken + 1)).rejects.toMatchObject({ code: 'job_lease_lost' });
      expect(seen).toEqual([]);
      await change(lease.fencingToken);
      expect(seen).toEqual(['running']);
      const noSource = tenant.fencedTransactionOn(
        lease,
        () => Promise.reject(new Error('no source')),
        async () => seen.push('never'),
      );
      await expect(noSource).rejects.toThrow('no source');
      expect(seen).toEqual(['running']);
    });

    it('undoes a fenced transaction that fails', async () => {
      const kind = newKind();
      await add({ kind });
      const { lease } = await claimed(kind);
      const other = samples.job({ kind: 'other' });
      const failing = tenant.fencedTransaction(lease, async ({ jobs }) => {
        await jobs.create(other);
        throw new Error('no');
      });
      await expect(failing).rejects.toThrow('no');
      expect(await tenant.jobs.get(other.id)).toBeNull();
    });

    it('keeps a lease alive and shows a wish to cancel', async () => {
      const kind = newKind();
      const id = await add({ kind });
      const { lease } = await claimed(kind);
      const beaten = await store.system.jobs.heartbeat(lease, { now: now + 500, expiresAt: now + 5_000 });
      expect(beaten).toMatchObject({ cancelRequested: false, lease: { expiresAt: now + 5_000 } });
      expect(await claim(kind, now + LEASE_MS)).toBeNull();
      expect(await tenant.jobs.requestCancel(id, now)).toMatchObject({ state: 'running', cancelRequested: true });
      expect(await store.system.jobs.heartbeat(lease, { now, expiresAt: now + 6_000 })).toMatchObject({
        cancelRequested: true,
      });
    });

    it('counts attempts since the last progress', async () => {
      const kind = newKind();
      const id = await add({ kind, attempts: 2 });
      const { lease } = await claimed(kind);
      expect(await store.system.jobs.progress(lease, { done: 0, total: 9 }, now)).toBe(true);
      expect(await tenant.jobs.get(id)).toMatchObject({ attempts: 3, progress: { done: 0, total: 9 } });
      expect(await store.system.jobs.progress(lease, { done: 4, total: 9 }, now)).toBe(true);
      expect(await tenant.jobs.get(id)).toMatchObject({ attempts: 1, progress: { done: 4, total: 9 } });
    });

    const error = { code: 'parse_failed', message: 'no' };
    const outcomes: readonly [JobOutcome, Partial<Job>][] = [
      [
        { type: 'next-stage', stage: 'embedding', priority: 50 },
        {
          state: 'queued',
          stage: 'embedding',
          priority: 50,
          attempts: 0,
          progress: { done: 0, total: 0 },
          lastError: null,
        },
      ],
      [{ type: 'succeeded' }, { state: 'succeeded', finishedAt: now + 7 }],
      [
        { type: 'succeeded', progress: { done: 4, total: 4 } },
        { state: 'succeeded', progress: { done: 4, total: 4 } },
      ],
      [
        { type: 'failed', error },
        { state: 'failed', lastError: error, finishedAt: now + 7 },
      ],
      [{ type: 'cancelled' }, { state: 'cancelled', finishedAt: now + 7 }],
      [
        { type: 'retry', error, runAt: now + 99 },
        { state: 'queued', attempts: 1, lastError: error, runAt: now + 99 },
      ],
      [{ type: 'handed-back' }, { state: 'queued', attempts: 0, runAt: now + 7, finishedAt: null }],
    ];
    it.each(outcomes)('ends a run: %o', async (outcome, expected) => {
      const kind = newKind();
      const id = await add({ kind });
      const { lease } = await claimed(kind);
      const released = await store.system.jobs.release(lease, outcome, now + 7);
      expect(released).toEqual(await tenant.jobs.get(id));
      expect(released).toMatchObject({ lease: null, updatedAt: now + 7, ...expected });
      const late = tenant.fencedTransaction(lease, async () => 'late');
      await expect(late).rejects.toMatchObject({ code: 'job_lease_lost' });
    });

    it('cancels a queued job at once, and none that has ended', async () => {
      const kind = newKind();
      const id = await add({ kind });
      expect(await tenant.jobs.requestCancel(id, now)).toMatchObject({ state: 'cancelled', finishedAt: now });
      expect(await claim(kind)).toBeNull();
      expect(await tenant.jobs.requestCancel(id, now)).toBeNull();
      expect(await tenant.jobs.requestCancel('job_none', now)).toBeNull();
    });

    it('queues a failed or cancelled job again, and no other', async () => {
      const kind = newKind();
      const id = await add({
        kind,
        state: 'failed',
        stage: 'embedding',
        attempts: 3,
        lastError: error,
        finishedAt: now,
      });
      const times = { now: now + 5, deadlineAt: now + 500 };
      expect(await tenant.jobs.retry(id, times)).toMatchObject({
        state: 'queued',
        stage: 'embedding',
        attempts: 0,
        lastError: null,
        runAt: now + 5,
        deadlineAt: now + 500,
        finishedAt: null,
      });
      expect(await tenant.jobs.retry(id, times)).toBeNull();
      expect(await tenant.jobs.retry('job_none', times)).toBeNull();
    });

    it('fails a job from outside, which ends its lease', async () => {
      const kind = newKind();
      const id = await add({ kind, deadlineAt: now + 10 });
      const { lease } = await claimed(kind);
      const overdue = async (at: number) => (await store.system.jobs.findOverdue(at, 1_000)).map((job) => job.id);
      expect(await overdue(now + 10)).not.toContain(id);
      expect(await overdue(now + 11)).toContain(id);
      expect(await store.system.jobs.fail(id, error, now + 11)).toBe(true);
      expect(await tenant.jobs.get(id)).toMatchObject({ state: 'failed', lastError: error, lease: null });
      expect(await overdue(now + 11)).not.toContain(id);
      expect(await store.system.jobs.fail(id, error, now + 11)).toBe(false);
      const late = tenant.fencedTransaction(lease, async () => 'late');
      await expect(late).rejects.toMatchObject({ code: 'job_lease_lost' });
    });

    it('finds what can be claimed', async () => {
      const kind = newKind();
      const queued = await add({ kind });
      const waiting = await add({ kind, runAt: now + 50 });
      const claimable = async (at: number) =>
        (await store.system.jobs.findClaimable(at, 1_000)).filter((id) => id === queued || id === waiting);
      expect(await claimable(now)).toEqual([queued]);
      await claimed(kind);
      expect(await claimable(now)).toEqual([]);
      expect((await claimable(now + LEASE_MS)).toSorted()).toEqual([queued, waiting].toSorted());
    });

    it('remembers whose handler has been told of the end', async () => {
      const kind = newKind();
      const failed = await add({ kind, state: 'failed', finishedAt: now });
      const cancelled = await add({ kind });
      await tenant.jobs.requestCancel(cancelled, now);
      await add({ kind, state: 'succeeded', finishedAt: now });
      const unsettled = async () => (await store.system.jobs.findUnsettled([kind], 10)).map(({ id }) => id);
      expect(await unsettled()).toEqual([failed, cancelled]);
      expect(await store.system.jobs.settle(failed)).toBe(true);
      expect(await store.system.jobs.settle(failed)).toBe(false);
      expect(await unsettled()).toEqual([cancelled]);
      await tenant.jobs.retry(failed, { now, deadlineAt: now + 9 });
      expect(await store.system.jobs.settle(failed)).toBe(false);
      await store.system.jobs.fail(failed, error, now);
      expect(await unsettled()).toEqual([failed, cancelled]);
    });

    it('lets every lease end at the start of the only process', async () => {
      const kind = newKind();
      const id = await add({ kind });
      await claimed(kind);
      expect(await store.system.jobs.expireAllLeases(now)).toBeGreaterThanOrEqual(1);
      expect((await claim(kind))?.id).toBe(id);
    });
  });
}
