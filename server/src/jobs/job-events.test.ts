import { describe, expect, it } from 'vitest';
import { createFakeJobStore } from '../adapters/fakes/index.ts';
import { createManualClock } from '../kernel/index.ts';
import { createMemoryBus, type MessageBus } from '../resilience/index.ts';
import type { Job } from '../store/index.ts';
import { newJob } from './job-claims.contract.ts';
import { createJobEvents } from './job-events.ts';

async function setUp() {
  const clock = createManualClock();
  const store = createFakeJobStore();
  const { jobs } = store.forTenant('tnt_1');
  await jobs.create(newJob({}));
  const events = createJobEvents({ store, clock, maxLag: 4 });
  const leaving = new AbortController();
  const watch = (tenantId = 'tnt_1') => events.watch(tenantId, 'job_1', leaving.signal)[Symbol.asyncIterator]();
  const now = async (changes: Partial<Job>): Promise<Job> => {
    const job = await jobs.get('job_1');
    if (job === null) throw new Error('There is no job.');
    return { ...job, updatedAt: clock.now(), ...changes };
  };
  const value = async (next: Promise<IteratorResult<Job>>): Promise<Job> => (await next).value;
  return { clock, store, jobs, events, leaving, watch, now, value };
}

describe('job events', () => {
  it('begin with the job as it is', async () => {
    const { watch } = await setUp();
    expect((await watch().next()).value).toMatchObject({ id: 'job_1', state: 'queued' });
  });

  it('carry each published change as it happens, and nothing twice', async () => {
    const { watch, events, now, value } = await setUp();
    const watching = watch();
    await watching.next();
    const next = watching.next();
    const job = await now({ state: 'running', progress: { done: 1, total: 4 } });
    events.publish(job);
    events.publish(job);
    expect((await value(next)).progress.done).toBe(1);
    const after = watching.next();
    events.publish({ ...job, progress: { done: 2, total: 4 } });
    expect((await value(after)).progress.done).toBe(2);
  });

  it('miss nothing that happens between two reads', async () => {
    const { watch, events, now, value } = await setUp();
    const watching = watch();
    await watching.next();
    events.publish(await now({ state: 'running' }));
    events.publish(await now({ state: 'running', stage: 'embedding' }));
    expect((await value(watching.next())).stage).toBe('loading');
    expect((await value(watching.next())).stage).toBe('embedding');
  });

  it('leave out the oldest changes for one who lags behind, never the last', async () => {
    const { watch, events, now } = await setUp();
    const watching = watch();
    await watching.next();
    for (let done = 1; done <= 20; done += 1) {
      events.publish(await now({ state: 'running', progress: { done, total: 20 } }));
    }
    events.publish(await now({ state: 'failed' }));
    const seen: string[] = [];
    for (let job = await watching.next(); !job.done; job = await watching.next()) {
      seen.push(`${job.value.state} ${job.value.progress.done}`);
    }
    expect(seen).toEqual(['running 18', 'running 19', 'running 20', 'failed 0']);
  });

  it('find what another process changed by reading again', async () => {
    const { watch, jobs, clock, value } = await setUp();
    const watching = watch();
    await watching.next();
    const next = watching.next();
    await new Promise((resolve) => setImmediate(resolve));
    await jobs.requestCancel('job_1', clock.now());
    await clock.advance(2_000);
    expect((await value(next)).state).toBe('cancelled');
    expect(await watching.next()).toMatchObject({ done: true });
  });

  it('do not go back to an older state', async () => {
    const { watch, events, jobs, clock, now, value } = await setUp();
    const watching = watch();
    await watching.next();
    const late = await now({ state: 'running', updatedAt: clock.now() - 1 });
    await clock.advance(1_000);
    await jobs.requestCancel('job_1', clock.now());
    const next = watching.next();
    events.publish(await now({}));
    events.publish(late);
    expect((await value(next)).state).toBe('cancelled');
    expect(await watching.next()).toMatchObject({ done: true });
  });

  it('show nobody the jobs of another tenant', async () => {
    const { watch } = await setUp();
    await expect(watch('tnt_2').next()).rejects.toMatchObject({ code: 'job_not_found' });
  });

  it('end when the watcher leaves', async () => {
    const { watch, leaving } = await setUp();
    const watching = watch();
    await watching.next();
    const next = watching.next();
    leaving.abort();
    expect(await next).toMatchObject({ done: true });
  });

  it('come from another process as soon as the bus tells, and a lost message is made up for by reading', async () => {
    const { clock, store, jobs, leaving } = await setUp();
    const bus = createMemoryBus();
    let isDeaf = false;
    const lossy: MessageBus = { ...bus, publish: (topic, text) => (isDeaf ? undefined : bus.publish(topic, text)) };
    const [here, there] = [createJobEvents({ store, clock, bus }), createJobEvents({ store, clock, bus: lossy })];
    const watching = here.watch('tnt_1', 'job_1', leaving.signal)[Symbol.asyncIterator]();
    await watching.next();
    const change = async (): Promise<void> => {
      const claimed = await store.system.jobs.claim({
        ...{ owner: 'there', kinds: ['train'], now: clock.now(), leaseMs: 1, maxPriority: null },
      });
      if (claimed === null) throw new Error('no job');
      there.publish(claimed);
    };
    const next = watching.next();
    await change();
    expect((await next).value).toMatchObject({ state: 'running', attempts: 1 });
    isDeaf = true;
    const later = watching.next();
    await clock.advance(1);
    await change();
    await clock.advance(2_000);
    expect((await later).value).toMatchObject({ attempts: 2 });
    expect((await jobs.get('job_1'))?.attempts).toBe(2);
  });
});
