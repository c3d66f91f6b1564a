import { afterEach, describe, expect, it } from 'vitest';
import { createFakeJobStore, type FakeJobStore } from '../adapters/fakes/index.ts';
import { openSqlite } from '../adapters/sqlite/index.ts';
import {
  AppError,
  createManualClock,
  type Lifecycle,
  type Logger,
  silentLogger,
  silentMeter,
  systemClock,
} from '../kernel/index.ts';
import type { Job } from '../store/index.ts';
import { newJob } from './job-claims.contract.ts';
import { createJobEvents } from './job-events.ts';
import { createJobRunner, type JobRunnerOptions } from './job-runner.ts';
import { createMemoryTransport } from './memory-transport.ts';
import type { JobHandler, StageContext, StageResult } from './ports.ts';

const TENANT = 'tnt_1';
const SUCCEEDED: StageResult = { type: 'succeeded' };

type Stage = (context: StageContext) => Promise<StageResult>;

const open: Lifecycle[] = [];

function setUp() {
  const clock = createManualClock();
  const store = createFakeJobStore();
  const transport = createMemoryTransport();
  const events = createJobEvents({ store, clock });
  const told: string[] = [];

  const handlerOf = (stages: Record<string, Stage>): JobHandler => ({
    kind: 'train',
    firstStage: 'loading',
    stages,
    onFailed: async (job, error) => void told.push(`${job.id} ${job.state} ${error.code}`),
  });
  const startRunner = async (stages: Record<string, Stage>, changes: Partial<JobRunnerOptions> = {}) => {
    await transport.start();
    const runner = createJobRunner({
      store,
      transport,
      handlers: [handlerOf(stages)],
      events,
      clock,
      logger: silentLogger,
      meter: silentMeter,
      owner: 'runner',
      random: () => 0,
      ...changes,
    });
    open.push(runner);
    await runner.start();
    return runner;
  };
  const add = async (changes: Partial<Job> = {}): Promise<string> => {
    const job = newJob({ runAt: clock.now(), createdAt: clock.now(), ...changes });
    await store.forTenant(TENANT).jobs.create(job);
    await transport.announce(job.id);
    return job.id;
  };
  const get = async (id = 'job_1'): Promise<Job> => {
    const job = await store.forTenant(TENANT).jobs.get(id);
    if (job === null) throw new Error('There is no job.');
    return job;
  };
  const cancel = async (id = 'job_1') => {
    await store.forTenant(TENANT).jobs.requestCancel(id, clock.now());
    await transport.announce(id);
  };
  const settled = (state: Job['state'], id = 'job_1') => until(async () => (await get(id)).state === state);
  return { clock, store, transport, events, told, handlerOf, startRunner, add, get, cancel, settled };
}

afterEach(async () => {
  for (const runner of open.splice(0)) await runner.stop();
});

describe('running a job', () => {
  it('runs its stages in order, one a claim, and tells watchers', async () => {
    const { startRunner, add, events, get } = setUp();
    const stages: Record<string, Stage> = {
      loading: async ({ progress }) => {
        progress(3, 3);
        return { type: 'next-stage', stage: 'embedding', priority: 20 };
      },
      embedding: async () => SUCCEEDED,
    };
    await add();
    const news = collect(events.watch(TENANT, 'job_1', new AbortController().signal));
    await startRunner(stages);
    const seen = (await news).map((job) => `${job.state} ${job.stage} ${job.progress.done}`);
    expect(seen).toEqual([
      'queued loading 0',
      'running loading 0',
      'running loading 3',
      'queued embedding 0',
      'running embedding 0',
      'succeeded embedding 0',
    ]);
    expect(await get()).toMatchObject({ lease: null, lastError: null, attempts: 1 });
  });

  it('lets early stages of later jobs pass late stages of earlier ones', async () => {
    const { startRunner, add, settled } = setUp();
    const order: string[] = [];
    for (const id of ['job_1', 'job_2', 'job_3']) await add({ id });
    await startRunner(
      {
        loading: async ({ job }) => {
          order.push(`loading ${job.id}`);
          return { type: 'next-stage', stage: 'embedding', priority: 20 };
        },
        embedding: async ({ job }) => {
          order.push(`embedding ${job.id}`);
          return SUCCEEDED;
        },
      },
      { concurrency: 1 },
    );
    await settled('succeeded', 'job_3');
    expect(order).toEqual([
      'loading job_1',
      'loading job_2',
      'loading job_3',
      'embedding job_1',
      'embedding job_2',
      'embedding job_3',
    ]);
  });

  it('lets others in when a stage has had its time, and only then', async () => {
    const { startRunner, add, settled, clock, get } = setUp();
    const order: string[] = [];
    const slices: boolean[] = [];
    await startRunner(
      {
        loading: async ({ job, sliceOver, progress }) => {
          order.push(`${job.id} from ${job.resume?.['at'] ?? 0}`);
          if (job.id === 'short') return SUCCEEDED;
          const at = Number(job.resume?.['at'] ?? 0) + 1;
          progress(at, 2);
          for (let second = 0; second < 5; second += 1) {
            await clock.advance(1_000);
            await turns(5);
            slices.push(sliceOver());
            if (sliceOver()) return { type: 'yielded', resume: { at } };
            if (at === 1 && second === 2) await add({ id: 'short' });
          }
          return SUCCEEDED;
        },
      },
      { concurrency: 1, sliceMs: 2_000 },
    );
    await add({ id: 'long' });
    await settled('succeeded', 'long');
    expect(order).toEqual(['long from 0', 'short from 0', 'long from 1']);
    expect(slices).toEqual([false, false, false, true, false, false, false, false, false]);
    expect(await get('long')).toMatchObject({ attempts: 1, progress: { done: 2, total: 2 } });
  });

  it('keeps a place for urgent stages while slow ones run', async () => {
    const { startRunner, add, settled, get } = setUp();
    const slow = createGate();
    await startRunner({ loading: async () => SUCCEEDED, embedding: slow.stage }, { concurrency: 3 });
    for (const id of ['slow_1', 'slow_2', 'slow_3']) await add({ id, stage: 'embedding', priority: 20 });
    await until(() => slow.entered() === 2);
    await add({ id: 'urgent' });
    await settled('succeeded', 'urgent');
    expect((await get('slow_3')).state).toBe('queued');
    slow.open();
    await settled('succeeded', 'slow_3');
  });

  it('never runs more stages at once than its places', async () => {
    const { startRunner, add, settled } = setUp();
    let running = 0;
    let most = 0;
    for (let job = 0; job < 30; job += 1) await add({ id: `job_${job}` });
    await startRunner({
      loading: async () => {
        running += 1;
        most = Math.max(most, running);
        await turn();
        running -= 1;
        return SUCCEEDED;
      },
    });
    await settled('succeeded', 'job_29');
    expect(most).toBe(2);
  });

  it('shares jobs between two runners, and runs each stage of each job once', async () => {
    const { startRunner, add, settled, transport } = setUp();
    const runs = new Map<string, number>();
    const stage =
      (result: StageResult): Stage =>
      async ({ job }) => {
        const key = `${job.id} ${job.stage}`;
        runs.set(key, (runs.get(key) ?? 0) + 1);
        await turn();
        await transport.announce(job.id);
        return result;
      };
    const stages = {
      loading: stage({ type: 'next-stage', stage: 'embedding', priority: 20 }),
      embedding: stage(SUCCEEDED),
    };
    await startRunner(stages, { owner: 'first', concurrency: 4 });
    await startRunner(stages, { owner: 'second', concurrency: 4 });
    for (let job = 0; job < 40; job += 1) await add({ id: `job_${job}` });
    for (let job = 0; job < 40; job += 1) await settled('succeeded', `job_${job}`);
    expect(runs.size).toBe(80);
    expect([...runs.values()].every((count) => count === 1)).toBe(true);
  });

  it('finds by itself what was never announced', async () => {
    const { startRunner, clock, store, settled } = setUp();
    await startRunner({ loading: async () => SUCCEEDED });
    await turns(20);
    await store.forTenant(TENANT).jobs.create(newJob({}));
    await clock.advance(5_000);
    await settled('succeeded');
  });

  it('goes on when the database was away for a while', async () => {
    const { startRunner, clock, store, add, settled } = setUp();
    let away = true;
    const flaky = withClaims(store, {
      claim: async (request) => {
        if (away) throw new AppError('database_unavailable', 'away', { retryable: true });
        return store.system.jobs.claim(request);
      },
    });
    await startRunner({ loading: async () => SUCCEEDED }, { store: flaky });
    await add();
    await turn();
    away = false;
    await clock.advance(5_000);
    await settled('succeeded');
  });

  it('records how a stage ended when another change was in the way of that, without waiting for the lease', async () => {
    const { startRunner, clock, store, add, settled } = setUp();
    let inTheWay = 2;
    let runs = 0;
    const flaky = withClaims(store, {
      release: async (lease, outcome, now) => {
        if (inTheWay > 0) {
          inTheWay -= 1;
          throw new AppError('database_unavailable', 'deadlock', { retryable: true });
        }
        return store.system.jobs.release(lease, outcome, now);
      },
    });
    const loading = async (): Promise<StageResult> => {
      runs += 1;
      return SUCCEEDED;
    };
    await startRunner({ loading }, { store: flaky });
    await add();
    for (let step = 0; step < 5; step += 1) {
      await turns(20);
      await clock.advance(100);
    }
    await settled('succeeded');
    expect(runs).toBe(1);
  });

  it('writes progress at most twice a second, and the last of it with the end of the job', async () => {
    const { startRunner, clock, store, add, get, settled } = setUp();
    const writes: number[] = [];
    const watched = withClaims(store, {
      progress: (lease, progress, now) => {
        writes.push(progress.done);
        return store.system.jobs.progress(lease, progress, now);
      },
    });
    const gate = createGate();
    await startRunner(
      {
        loading: async (context) => {
          for (let done = 1; done <= 400; done += 1) context.progress(done, 1_000);
          await gate.stage(context);
          for (let done = 401; done <= 990; done += 1) context.progress(done, 1_000);
          return SUCCEEDED;
        },
      },
      { store: watched },
    );
    await add();
    await until(() => gate.entered() === 1);
    await clock.advance(600);
    gate.open();
    await settled('succeeded');
    expect(writes).toEqual([1, 401]);
    expect(await get()).toMatchObject({ progress: { done: 990, total: 1_000 } });
  });

  it('writes no progress that says all is done: the end of the stage says it', async () => {
    const { startRunner, store, add, get, settled } = setUp();
    const writes: number[] = [];
    const watched = withClaims(store, {
      progress: (lease, progress, now) => {
        writes.push(progress.done);
        return store.system.jobs.progress(lease, progress, now);
      },
    });
    await startRunner(
      {
        loading: async ({ progress }) => {
          progress(1, 1);
          return { type: 'next-stage', stage: 'embedding', priority: 20 };
        },
        embedding: async ({ progress }) => {
          progress(7, 7);
          return SUCCEEDED;
        },
      },
      { store: watched },
    );
    await add();
    await settled('succeeded');
    expect(writes).toEqual([]);
    expect(await get()).toMatchObject({ progress: { done: 7, total: 7 } });
  });
});

describe('a stage that fails', () => {
  const unreachable = (retryAfterMs?: number) =>
    new AppError('provider_unreachable', 'No answer.', { retryable: true, ...(retryAfterMs && { retryAfterMs }) });

  it('is tried again after a growing pause when the error says so', async () => {
    const { startRunner, clock, add, get, settled, told } = setUp();
    const times: number[] = [];
    const startedAt = clock.now();
    await startRunner({
      loading: async () => {
        times.push(clock.now() - startedAt);
        if (times.length < 3) throw unreachable();
        return SUCCEEDED;
      },
    });
    await add();
    await settled('queued');
    await until(async () => (await get()).lastError !== null);
    expect(await get()).toMatchObject({ lastError: { code: 'provider_unreachable' }, attempts: 1 });
    for (let step = 0; step < 16; step += 1) await clock.advance(100);
    await settled('succeeded');
    expect(times).toEqual([0, 500, 1_500]);
    expect(await get()).toMatchObject({ lastError: null });
    expect(told).toEqual([]);
  });

  it('waits as long as the error asks for', async () => {
    const { startRunner, clock, add, get } = setUp();
    await startRunner({ loading: () => Promise.reject(unreachable(40_000)) });
    await add();
    await until(async () => (await get()).lastError !== null);
    expect((await get()).runAt).toBe(clock.now() + 40_000);
  });

  it('is no failure when a newer job has taken the source over', async () => {
    const { startRunner, add, settled, told } = setUp();
    await add();
    await startRunner({
      loading: async () => {
        throw new AppError('job_cancelled', 'The source is trained by a newer job.');
      },
    });
    await settled('cancelled');
    await until(() => told.length > 0);
    expect(told).toEqual(['job_1 cancelled job_cancelled']);
  });

  it('ends its job with the cause when the attempts are used up', async () => {
    const { startRunner, clock, add, get, told } = setUp();
    await startRunner({ loading: () => Promise.reject(unreachable()) });
    await add({ maxAttempts: 2 });
    await until(async () => (await get()).lastError !== null);
    await clock.advance(500);
    await until(() => told.length > 0);
    expect(told).toEqual(['job_1 failed provider_unreachable']);
    expect(await get()).toMatchObject({
      state: 'failed',
      attempts: 2,
      lastError: { code: 'provider_unreachable', message: 'No answer.' },
    });
  });

  it('does not use up attempts while it gets further each time', async () => {
    const { startRunner, clock, add, settled } = setUp();
    let done = 0;
    await startRunner({
      loading: async ({ progress }) => {
        done += 1;
        progress(done, 6);
        if (done < 6) throw unreachable();
        return SUCCEEDED;
      },
    });
    await add({ maxAttempts: 2 });
    for (let step = 0; step < 8; step += 1) {
      await turns(20);
      await clock.advance(500);
    }
    await settled('succeeded');
  });

  it('ends its job at once when another try is no use, or could only come too late', async () => {
    const { startRunner, clock, add, told } = setUp();
    await startRunner({
      loading: async ({ job }) => {
        if (job.id === 'empty') throw new AppError('empty_content', 'Nothing to read.');
        throw unreachable(60_000);
      },
    });
    await add({ id: 'empty' });
    await add({ id: 'late', deadlineAt: clock.now() + 60_000 });
    await until(() => told.length === 2);
    expect(told.sort()).toEqual(['empty failed empty_content', 'late failed provider_unreachable']);
  });

  it('shows nothing of an unknown error, and logs all of it', async () => {
    const { startRunner, add, get, told } = setUp();
    const logged: unknown[] = [];
    const logger: Logger = { ...silentLogger, error: (fields) => void logged.push(fields['error']) };
    const bug = new TypeError('reading "/secret/path" of undefined');
    await startRunner({ loading: () => Promise.reject(bug) }, { logger });
    await add({ maxAttempts: 1 });
    await until(() => told.length > 0);
    expect(told).toEqual(['job_1 failed internal_error']);
    expect((await get()).lastError?.message).not.toContain('secret');
    expect(logged).toContain(bug);
  });

  it('ends its job when this version does not know the stage', async () => {
    const { startRunner, add, told } = setUp();
    await startRunner({ loading: async () => SUCCEEDED });
    await add({ stage: 'folding' });
    await until(() => told.length > 0);
    expect(told).toEqual(['job_1 failed internal_error']);
  });
});

describe('settling what a job worked on', () => {
  it('is tried again when it failed', async () => {
    const { startRunner, clock, add, handlerOf } = setUp();
    let calls = 0;
    const handler: JobHandler = {
      ...handlerOf({ loading: () => Promise.reject(new AppError('empty_content', 'Nothing to read.')) }),
      onFailed: async () => {
        calls += 1;
        if (calls === 1) throw new AppError('database_unavailable', 'away', { retryable: true });
      },
    };
    await startRunner({}, { handlers: [handler] });
    await add();
    await until(() => calls > 0);
    await turns(20);
    await clock.advance(5_000);
    await until(() => calls === 2);
    await turns(20);
    await clock.advance(5_000);
    await turns(20);
    expect(calls).toBe(2);
  });

  it('is not begun twice at once', async () => {
    const { startRunner, clock, add, settled, handlerOf, transport } = setUp();
    const gate = createGate();
    const handler: JobHandler = {
      ...handlerOf({ loading: () => Promise.reject(new AppError('empty_content', 'Nothing to read.')) }),
      onFailed: gate.pass,
    };
    await startRunner({}, { handlers: [handler] });
    await add();
    await settled('failed');
    await transport.announce('job_1');
    await turns(20);
    await clock.advance(5_000);
    await turns(20);
    expect(gate.entered()).toBe(1);
    gate.open();
  });

  it('is made up for after a crash between the end of the job and its settling', async () => {
    const { startRunner, clock, store, told } = setUp();
    await store.forTenant(TENANT).jobs.create(newJob({}));
    await store.system.jobs.fail('job_1', { code: 'parse_failed', message: 'Unreadable.' }, clock.now());
    await startRunner({});
    await until(() => told.length > 0);
    expect(told).toEqual(['job_1 failed parse_failed']);
  });
});

describe('cancelling', () => {
  it('settles a job that was still queued', async () => {
    const { startRunner, clock, add, cancel, told } = setUp();
    await startRunner({ loading: async () => SUCCEEDED });
    await add({ runAt: clock.now() + 60_000 });
    await cancel();
    await until(() => told.length > 0);
    expect(told).toEqual(['job_1 cancelled job_cancelled']);
  });

  it('stops a running stage at once when it is announced', async () => {
    const { startRunner, add, cancel, settled, told } = setUp();
    const gate = createGate();
    await startRunner({ loading: gate.stage });
    await add();
    await until(() => gate.entered() === 1);
    await cancel();
    await settled('cancelled');
    await until(() => told.length > 0);
    expect(told).toEqual(['job_1 cancelled job_cancelled']);
  });

  it('stops a stage that runs in another process by its next heartbeat', async () => {
    const { startRunner, clock, store, add, settled } = setUp();
    const gate = createGate();
    await startRunner({ loading: gate.stage });
    await add();
    await until(() => gate.entered() === 1);
    await store.forTenant(TENANT).jobs.requestCancel('job_1', clock.now());
    await clock.advance(5_000);
    await settled('cancelled');
  });

  it('is not mistaken for a lost lease when the fence refuses the stage first', async () => {
    const { startRunner, clock, store, add, settled } = setUp();
    await startRunner({
      loading: async ({ job, lease }) => {
        const tenant = store.forTenant(TENANT);
        await tenant.jobs.requestCancel(job.id, clock.now());
        return tenant.fencedTransaction(lease, async () => SUCCEEDED);
      },
    });
    await add();
    await settled('cancelled');
  });
});

describe('deadlines', () => {
  it('stops a running stage and fails its job', async () => {
    const { startRunner, clock, add, told } = setUp();
    const gate = createGate();
    await startRunner({ loading: gate.stage });
    await add({ deadlineAt: clock.now() + 1_234 });
    await until(() => gate.entered() === 1);
    await clock.advance(1_233);
    await turns(20);
    expect(told).toEqual([]);
    await clock.advance(1);
    await until(() => told.length > 0);
    expect(told).toEqual(['job_1 failed job_deadline_exceeded']);
  });

  it('fails a job that never got to run', async () => {
    const { startRunner, clock, add, told } = setUp();
    await startRunner({ loading: async () => SUCCEEDED });
    await add({ runAt: clock.now() + 60_000, deadlineAt: clock.now() + 1_000 });
    await turns(20);
    await clock.advance(5_000);
    await until(() => told.length > 0);
    expect(told).toEqual(['job_1 failed job_deadline_exceeded']);
  });
});

describe('an overdue job of another process', () => {
  it('is left to that process while it lives, and failed once its lease has run out', async () => {
    const { startRunner, clock, store, add, get, told } = setUp();
    await add({ deadlineAt: clock.now() + 1_000 });
    const request = { owner: 'other', kinds: ['train'], now: clock.now(), leaseMs: 15_000, maxPriority: null };
    await store.system.jobs.claim(request);
    await startRunner({ loading: async () => SUCCEEDED });
    for (const state of ['running', 'running', 'failed']) {
      await turns(20);
      await clock.advance(5_000);
      await turns(20);
      expect((await get()).state).toBe(state);
    }
    expect(told).toEqual(['job_1 failed job_deadline_exceeded']);
  });
});

describe('processes that die or freeze', () => {
  const crashed = async ({ store, clock, add }: ReturnType<typeof setUp>) => {
    await add();
    const request = { owner: 'dead', kinds: ['train'], now: clock.now(), leaseMs: 15_000, maxPriority: null };
    await store.system.jobs.claim(request);
  };

  it('takes a dead process’s job over when its lease expires', async () => {
    const world = setUp();
    await crashed(world);
    await world.startRunner({ loading: async () => SUCCEEDED });
    await world.clock.advance(10_000);
    await turns(20);
    expect((await world.get()).state).toBe('running');
    await world.clock.advance(5_000);
    await world.settled('succeeded');
  });

  it('takes it over at the start when no other process can live', async () => {
    const world = setUp();
    await crashed(world);
    await world.startRunner({ loading: async () => SUCCEEDED }, { reclaimOwners: 'all' });
    await world.settled('succeeded');
    expect(await world.get()).toMatchObject({ attempts: 2 });
  });

  it('gives up on a job during which the process died again and again', async () => {
    const world = setUp();
    await world.add({ attempts: 12, maxAttempts: 3 });
    await world.startRunner({ loading: async () => SUCCEEDED });
    await until(() => world.told.length > 0);
    expect(world.told).toEqual(['job_1 failed job_attempts_exhausted']);
  });

  it('refuses all late writes of a process that was frozen past its lease', async () => {
    const { startRunner, clock, store, add, get, settled } = setUp();
    const effects: string[] = [];
    const write = (who: string, { lease }: StageContext) =>
      store.forTenant(TENANT).fencedTransaction(lease, async () => void effects.push(who));
    const frozen = createGate();
    const refusals: unknown[] = [];
    // Frozen: its heartbeats do not leave the process.
    const silent = withClaims(store, { heartbeat: () => new Promise(() => {}), claim: claimOnce(store) });
    await startRunner(
      {
        loading: async (context) => {
          await frozen.pass();
          await write('zombie', context).catch((error) => refusals.push(error.code));
          return SUCCEEDED;
        },
      },
      { store: silent, owner: 'zombie', reconcileMs: 1e9 },
    );
    await add();
    await until(() => frozen.entered() === 1);
    await startRunner({
      loading: async (context) => {
        await write('heir', context);
        return SUCCEEDED;
      },
    });
    await clock.advance(5_000);
    await clock.advance(10_000);
    await settled('succeeded');
    const ended = await get();
    frozen.open();
    await until(() => refusals.length > 0);
    await turns(20);
    expect(refusals).toEqual(['job_lease_lost']);
    expect(effects).toEqual(['heir']);
    expect(await get()).toEqual(ended);
  });

  it('tells a stage to stop when its lease was lost', async () => {
    const { startRunner, clock, store, add } = setUp();
    const gate = createGate();
    await startRunner({ loading: gate.stage }, { concurrency: 1, reconcileMs: 1e9 });
    await add();
    await until(() => gate.entered() === 1);
    await store.system.jobs.fail('job_1', { code: 'internal_error', message: 'ended elsewhere' }, clock.now());
    await clock.advance(5_000);
    await until(() => gate.reasons.length > 0);
    expect(gate.reasons).toMatchObject([{ code: 'job_lease_lost' }]);
  });

  it('does not wait for ever for a stage that will not stop', async () => {
    const { startRunner, clock, add, cancel, settled } = setUp();
    await startRunner(
      { loading: ({ job }) => (job.id === 'deaf' ? new Promise(() => {}) : Promise.resolve(SUCCEEDED)) },
      { concurrency: 1 },
    );
    await add({ id: 'deaf' });
    await settled('running', 'deaf');
    await add({ id: 'next' });
    await cancel('deaf');
    await turns(20);
    await clock.advance(5_000);
    await settled('cancelled', 'deaf');
    await settled('succeeded', 'next');
  });
});

describe('stopping', () => {
  it('lets a stage finish in the time of grace', async () => {
    const { startRunner, add, get } = setUp();
    const gate = createGate();
    const runner = await startRunner({ loading: gate.stage });
    await add();
    await until(() => gate.entered() === 1);
    const stopped = runner.stop();
    await turns(20);
    gate.open();
    await stopped;
    expect((await get()).state).toBe('succeeded');
  });

  it('gives back what takes longer, and another process goes on with it at once', async () => {
    const { startRunner, clock, add, get, settled } = setUp();
    const gate = createGate();
    const runner = await startRunner({ loading: gate.stage });
    await add();
    await until(() => gate.entered() === 1);
    const stopped = runner.stop();
    await turns(20);
    await clock.advance(2_000);
    await stopped;
    expect(gate.reasons).toMatchObject([{ code: 'server_draining' }]);
    expect(await get()).toMatchObject({ state: 'queued', attempts: 0, lease: null, lastError: null });
    await startRunner({ loading: async () => SUCCEEDED });
    await settled('succeeded');
  });

  it('claims nothing more', async () => {
    const { startRunner, clock, add, get } = setUp();
    const runner = await startRunner({ loading: async () => SUCCEEDED });
    await runner.stop();
    await add();
    await clock.advance(60_000);
    await turns(20);
    expect((await get()).state).toBe('queued');
  });

  it('may be asked of a runner that never started', async () => {
    const { store, transport, events, clock } = setUp();
    const parts = { store, transport, events, clock, logger: silentLogger, meter: silentMeter };
    await createJobRunner({ ...parts, handlers: [], owner: 'runner' }).stop();
  });
});

describe('on SQLite', () => {
  it('shares jobs between two runners, each stage of each job once, and takes over what a dead process held', async () => {
    const { store } = openSqlite({ file: ':memory:', clock: systemClock, logger: silentLogger });
    await store.start();
    open.push({ name: 'store', start: async () => {}, stop: () => store.stop() });
    await store.tenants.create({ id: TENANT, name: TENANT, createdAt: 0, updatedAt: 0 });
    const { jobs } = store.forTenant(TENANT);
    const now = systemClock.now();
    const ids = Array.from({ length: 12 }, (_, index) => `job_${index}`);
    for (const id of ids) await jobs.create(newJob({ id, runAt: now, createdAt: now, deadlineAt: now + 60_000 }));
    const claim = { owner: 'dead', kinds: ['train'], now, leaseMs: 600_000, maxPriority: null };
    await store.system.jobs.claim(claim);

    const runs: string[] = [];
    const events = createJobEvents({ store, clock: systemClock, pollMs: 50 });
    const stage =
      (result: StageResult): Stage =>
      async ({ job, lease, progress }) => {
        progress(1, 1);
        await store.forTenant(TENANT).fencedTransaction(lease, async () => void runs.push(`${job.id} ${job.stage}`));
        return result;
      };
    const handler: JobHandler = {
      kind: 'train',
      firstStage: 'loading',
      stages: {
        loading: stage({ type: 'next-stage', stage: 'embedding', priority: 20 }),
        embedding: stage(SUCCEEDED),
      },
      onFailed: async () => {},
    };
    const transport = createMemoryTransport();
    await transport.start();
    const parts = { store, transport, events, handlers: [handler], clock: systemClock, logger: silentLogger };
    for (const owner of ['first', 'second']) {
      const reclaimOwners = owner === 'first' ? 'all' : 'none';
      const runner = createJobRunner({ ...parts, owner, meter: silentMeter, concurrency: 3, reclaimOwners });
      open.unshift(runner);
      await runner.start();
    }
    const forever = new AbortController().signal;
    const ends = await Promise.all(ids.map(async (id) => (await collect(events.watch(TENANT, id, forever))).at(-1)));
    expect(ends.every((job) => job?.state === 'succeeded' && job.attempts <= 2)).toBe(true);
    expect(runs.sort()).toEqual(ids.flatMap((id) => [`${id} loading`, `${id} embedding`]).sort());
  });
});

/** A stage that stays inside until the gate opens or it is told to stop. */
function createGate() {
  let entered = 0;
  let open = (): void => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  const reasons: unknown[] = [];
  const pass = async (): Promise<void> => {
    entered += 1;
    await opened;
  };
  const stage: Stage = async ({ signal }) => {
    const stopped = new Promise<never>((_, reject) => {
      signal.addEventListener('abort', () => {
        reasons.push(signal.reason);
        reject(signal.reason);
      });
    });
    await Promise.race([pass(), stopped]);
    return SUCCEEDED;
  };
  return { stage, pass, open: () => open(), entered: () => entered, reasons };
}

function withClaims(store: FakeJobStore, changes: Partial<FakeJobStore['system']['jobs']>): FakeJobStore {
  return { ...store, system: { ...store.system, jobs: { ...store.system.jobs, ...changes } } };
}

function claimOnce(store: FakeJobStore): FakeJobStore['system']['jobs']['claim'] {
  let claimed = false;
  return async (request) => {
    if (claimed) return null;
    const job = await store.system.jobs.claim(request);
    claimed = job !== null;
    return job;
  };
}

async function collect(jobs: AsyncIterable<Job>): Promise<Job[]> {
  const all: Job[] = [];
  for await (const job of jobs) all.push(job);
  return all;
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

async function turns(count: number): Promise<void> {
  for (let left = count; left > 0; left -= 1) await turn();
}

/** Lets what is under way go on until the condition holds; fails when it never does. */
async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let left = 2_000; left > 0; left -= 1) {
    if (await condition()) return;
    await turn();
  }
  throw new Error('The condition never came true.');
}
