import type { Clock, Lifecycle, Logger, Meter } from '../kernel/index.ts';
import type { JobClaims, Worker, WorkerRegistry } from '../store/index.ts';

/** A worker that was not heard of for this long counts as gone, in milliseconds: four missed signs of life. */
const ALIVE_MS = 20_000;
const WATCH_EVERY_MS = 5_000;
const WARN_EVERY_MS = 60_000;
/** Jobs may wait for a worker this long without a warning: while one is exchanged for another, say. */
const PATIENCE_MS = 30_000;

/** Whether the worker gave a sign of life lately. */
export function isAlive({ seenAt }: Pick<Worker, 'seenAt'>, now: number): boolean {
  return now - seenAt < ALIVE_MS;
}

/** Processes that run jobs and were heard of lately; each may have several runners, which give signs of life of their own. */
export function countAlive(workers: readonly Pick<Worker, 'host' | 'pid' | 'seenAt'>[], now: number): number {
  const alive = workers.filter((worker) => isAlive(worker, now));
  return new Set(alive.map(({ host, pid }) => `${pid} ${host}`)).size;
}

export interface JobWatchOptions {
  readonly claims: Pick<JobClaims, 'countQueued'>;
  readonly workers: Pick<WorkerRegistry, 'list' | 'removeUnseen'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly meter: Meter;
}

/** Measures how many jobs wait and for how long, and warns when nobody is there to run them. */
export function createJobWatch({ claims, workers, clock, logger, meter }: JobWatchOptions): Lifecycle {
  const stopping = new AbortController();
  const measured = new Map<string, { readonly kind: string; readonly stage: string }>();
  let rounds: Promise<void> = Promise.resolve();
  let startedAt = 0;
  let warnedAt = Number.NEGATIVE_INFINITY;

  async function look(): Promise<void> {
    const now = clock.now();
    const [queued, known] = await Promise.all([claims.countQueued(now), workers.list()]);
    const alive = countAlive(known, now);
    const dueSince = queued.flatMap((group) => (group.dueSince === null ? [] : [group.dueSince]));
    const waitedMs = dueSince.length === 0 ? 0 : Math.max(0, now - Math.min(...dueSince));
    for (const labels of measured.values()) meter.gauge('chatsphere_jobs_queued', labels, 0);
    for (const { kind, stage, jobs } of queued) {
      measured.set(`${kind} ${stage}`, { kind, stage });
      meter.gauge('chatsphere_jobs_queued', { kind, stage }, jobs);
    }
    meter.gauge('chatsphere_workers_alive', {}, alive);
    meter.gauge('chatsphere_job_oldest_queued_seconds', {}, waitedMs / 1_000);
    // Jobs that waited through a restart wait for a worker that is just starting.
    if (alive === 0 && Math.min(waitedMs, now - startedAt) > PATIENCE_MS && now - warnedAt >= WARN_EVERY_MS) {
      warnedAt = now;
      const jobs = queued.reduce((sum, group) => sum + group.jobs, 0);
      logger.warn({ jobs, waitedMs }, 'Jobs wait and no worker runs. Start one, or look why the last one stopped');
    }
    await workers.removeUnseen(now - 3_600_000);
  }

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      await look().catch((error: unknown) => logger.warn({ error }, 'Could not look at the queue of jobs'));
      await clock.sleep(WATCH_EVERY_MS, stopping.signal).catch(() => {});
    }
  }

  return {
    name: 'job watch',
    async start() {
      startedAt = clock.now();
      rounds = run();
    },
    async stop() {
      stopping.abort();
      await rounds;
    },
  };
}
