import { describe, expect, it } from 'vitest';
import { createFakeJobStore } from '../adapters/fakes/index.ts';
import { createManualClock, type Logger, silentLogger, silentMeter } from '../kernel/index.ts';
import { newJob } from './job-claims.contract.ts';
import { createJobEvents } from './job-events.ts';
import { createJobRunner } from './job-runner.ts';
import { createMemoryTransport } from './memory-transport.ts';
import { createJobWatch, isAlive } from './workers.ts';

function setUp() {
  const clock = createManualClock();
  const store = createFakeJobStore();
  const gauges = new Map<string, number>();
  const warnings: unknown[] = [];
  const logger: Logger = { ...silentLogger, warn: (fields) => void warnings.push(fields) };
  const meter = {
    ...silentMeter,
    gauge: (name: string, labels: object, value: number) =>
      void gauges.set([name, ...Object.values(labels)].join(' '), value),
  };
  const { jobs: claims, workers } = store.system;
  const watch = createJobWatch({ claims, workers, clock, logger, meter });
  const { jobs } = store.forTenant('tnt_1');
  const pass = async (milliseconds: number): Promise<void> => {
    for (let left = milliseconds; left > 0; left -= 5_000) {
      await clock.advance(Math.min(left, 5_000));
      for (let turn = 0; turn < 20; turn += 1) await clock.advance(0);
    }
  };
  return { clock, store, watch, jobs, workers, gauges, warnings, logger, meter, pass };
}

describe('job watch', () => {
  it('measures what waits and warns, once a minute, that nobody runs it', async () => {
    const { clock, watch, jobs, gauges, warnings, pass, workers } = setUp();
    await jobs.create(newJob({ id: 'job_1', runAt: clock.now() }));
    await jobs.create(newJob({ id: 'job_2', stage: 'embedding', runAt: clock.now() + 1e9 }));
    await watch.start();
    await pass(30_000);
    expect(gauges.get('chatsphere_jobs_queued train loading')).toBe(1);
    expect(gauges.get('chatsphere_jobs_queued train embedding')).toBe(1);
    expect(gauges.get('chatsphere_job_oldest_queued_seconds')).toBe(30);
    expect(gauges.get('chatsphere_workers_alive')).toBe(0);
    expect(warnings).toEqual([]);
    await pass(5_000);
    expect(warnings).toEqual([{ jobs: 2, waitedMs: 35_000 }]);
    await pass(55_000);
    expect(warnings).toHaveLength(1);
    await pass(5_000);
    expect(warnings).toHaveLength(2);
    const worker = { id: 'w', host: 'h', pid: 1, places: 2, running: 0, startedAt: 0, seenAt: clock.now() + 60_000 };
    await workers.beat(worker);
    // Another runner of the same process.
    await workers.beat({ ...worker, id: 'w:follow' });
    await pass(70_000);
    expect(gauges.get('chatsphere_workers_alive')).toBe(1);
    expect(warnings).toHaveLength(2);
    await jobs.requestCancel('job_1', clock.now());
    await pass(5_000);
    expect(gauges.get('chatsphere_jobs_queued train loading')).toBe(0);
    await watch.stop();
  });

  it('is patient after a restart, however long jobs had waited before', async () => {
    const { clock, watch, jobs, warnings, pass } = setUp();
    await jobs.create(newJob({ id: 'job_1', runAt: clock.now() - 3_600_000 }));
    await watch.start();
    await pass(30_000);
    expect(warnings).toEqual([]);
    await pass(5_000);
    expect(warnings).toHaveLength(1);
    await watch.stop();
  });
});

describe('a worker', () => {
  it('gives signs of life while it looks for jobs, not when it hangs, and takes its leave', async () => {
    const { clock, store, workers, pass, meter, logger } = setUp();
    const transport = createMemoryTransport();
    await transport.start();
    let hang = false;
    const claim: typeof store.system.jobs.claim = (request) =>
      hang ? new Promise(() => {}) : store.system.jobs.claim(request);
    await workers.beat({ id: 'dead', host: 'h', pid: 1, places: 1, running: 1, startedAt: 0, seenAt: clock.now() });
    const runner = createJobRunner({
      store: { ...store, system: { ...store.system, jobs: { ...store.system.jobs, claim } } },
      transport,
      handlers: [{ kind: 'train', firstStage: 'loading', stages: {}, onFailed: async () => {} }],
      events: createJobEvents({ store, clock }),
      clock,
      logger,
      meter,
      owner: 'worker',
      host: 'here',
      pid: 42,
      reclaimOwners: 'all',
    });
    const startedAt = clock.now();
    await runner.start();
    await pass(10_000);
    const [worker, ...others] = await workers.list();
    expect(others).toEqual([]);
    expect(worker).toEqual({
      id: 'worker',
      host: 'here',
      pid: 42,
      places: 2,
      running: 0,
      startedAt,
      seenAt: startedAt + 10_000,
    });
    hang = true;
    await pass(30_000);
    const [stuck] = await workers.list();
    expect(stuck && isAlive(stuck, clock.now())).toBe(false);
  });

  it('takes its leave when it stops', async () => {
    const { clock, store, workers, pass, meter, logger } = setUp();
    const transport = createMemoryTransport();
    await transport.start();
    const events = createJobEvents({ store, clock });
    const parts = { store, transport, handlers: [], events, clock, logger, meter };
    const runner = createJobRunner({ ...parts, owner: 'worker' });
    await runner.start();
    await pass(5_000);
    expect(await workers.list()).toHaveLength(1);
    await runner.stop();
    expect(await workers.list()).toEqual([]);
  });
});
