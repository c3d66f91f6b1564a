import type { Clock, Lifecycle, Logger, Meter } from '../kernel/index.ts';
import type { Job } from '../store/index.ts';
import { createCoalescedTask } from './coalesced-task.ts';
import { createJobReconciler } from './job-reconciler.ts';
import { createJobSettler } from './job-settler.ts';
import { hasEnded } from './job-state.ts';
import type { JobStore } from './job-store.ts';
import type { JobEvents, JobHandler, JobTransport } from './ports.ts';
import { type RecordedRun, runStage, type StageRun } from './stage-run.ts';

export interface JobRunnerOptions {
  readonly store: JobStore;
  /** Started and stopped by whoever made it; it must be started before the runner. */
  readonly transport: JobTransport;
  readonly handlers: readonly JobHandler[];
  readonly events: JobEvents;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly meter: Meter;
  /** Names this process in leases, like `host:pid:random`. */
  readonly owner: string;
  /** Of this process, to be found by a person. */
  readonly host?: string;
  readonly pid?: number;
  /** Stages that run at once; default 2. */
  readonly concurrency?: number;
  /** How many of them may be slow (not urgent) ones; default: all but one, so that a place is kept for urgent stages. */
  readonly slowPlaces?: number;
  /** Stages with this priority or a lower number never wait for slower ones; default 10. */
  readonly urgentPriority?: number;
  /** How long a claim holds without a heartbeat, in milliseconds; default 15,000. */
  readonly leaseMs?: number;
  readonly heartbeatMs?: number;
  /** How often lost announcements, dead workers' jobs and overdue jobs are looked for; default 5,000. */
  readonly reconcileMs?: number;
  readonly progressMs?: number;
  /** How long running stages may go on after `stop`, in milliseconds; default 2,000. */
  readonly stopGraceMs?: number;
  /** How long a stage that was told to stop may take to do so, in milliseconds; default 5,000. */
  readonly abandonMs?: number;
  /** How long a stage keeps its place while other jobs wait, in milliseconds; default 2,000. */
  readonly sliceMs?: number;
  /** Back-off between attempts, in milliseconds; default 1,000 doubling to 60,000. */
  readonly retry?: { readonly firstMs: number; readonly maxMs: number };
  /** `all`: no other process works on this database, so leases found at the start belong to the dead. */
  readonly reclaimOwners?: 'none' | 'all';
  /** 0 (inclusive) to 1 (exclusive), for jitter. */
  readonly random?: () => number;
}

/** How often stopped jobs are looked for while all places are taken, in milliseconds. */
const SWEEP_WHEN_FULL_MS = 1_000;

/**
 * Runs jobs: claims the one whose turn it is, runs one stage of it, and puts it back in the queue for its next stage, so
 * that early stages of one job pass late stages of another. A stage that takes long gives its place to those who wait. Woken by announcements, by a place that comes free and by the
 * end of a back-off; nothing is polled but the reconciler's slow round.
 */
export function createJobRunner(options: JobRunnerOptions): Lifecycle {
  const { store, transport, events, clock, logger, meter } = options;
  const {
    concurrency = 2,
    slowPlaces = Math.max(1, concurrency - 1),
    urgentPriority = 10,
    leaseMs = 15_000,
    stopGraceMs = 2_000,
  } = options;
  const claims = store.system.jobs;
  const handlers = new Map(options.handlers.map((handler) => [handler.kind, handler]));
  const kinds = [...handlers.keys()];
  const running = new Map<string, { readonly job: Job; readonly run: StageRun; readonly done: Promise<void> }>();
  /** Jobs that this runner has announced and not heard of: they wait for their next stage, which leaves nothing to settle. */
  const ownNews = new Set<string>();
  /** Announced jobs that may have been stopped; one that is claimed here has not. */
  const unclaimed = new Set<string>();
  let sweptAt = Number.NEGATIVE_INFINITY;
  const stopping = new AbortController();
  const settler = createJobSettler({ handlers, claims, logger, meter });
  const fill = createCoalescedTask(fillPlaces, (error) =>
    logger.warn({ error }, 'Could not claim jobs; will try again'),
  );
  const sweep = createCoalescedTask(settler.settleAll, (error) =>
    logger.warn({ error }, 'Could not look for jobs to settle; will try again'),
  );
  const reconciler = createJobReconciler({
    claims,
    transport,
    clock,
    logger,
    intervalMs: options.reconcileMs ?? 5_000,
    // Only after a look at the queue that came back: a runner that hangs gives no sign of life.
    onRound: () => {
      ownNews.clear();
      return Promise.all([fill.run(), sweep.run()]).then(beat);
    },
    onFailed: (job) => publishAndSettle(job),
  });
  /** Called when a run ends: its place is free, or was given to a job that waited. */
  let giveRoom = (): void => {};
  let room: Promise<void> | null = null;
  let unsubscribe = (): void => {};
  let startedAt = 0;

  function beat(): Promise<void> {
    const { owner: id, host = '', pid = 0 } = options;
    const places = { places: concurrency, running: running.size };
    return store.system.workers.beat({ id, host, pid, ...places, startedAt, seenAt: clock.now() });
  }

  async function fillPlaces(): Promise<void> {
    while (!stopping.signal.aborted && running.size < concurrency) {
      const request = { owner: options.owner, kinds, now: clock.now(), leaseMs, maxPriority: maxPriorityNow() };
      const job = await claims.claim(request);
      if (job === null) return;
      begin(job);
    }
  }

  /** Once slow stages have all the places that they may have, the others are for urgent ones. */
  function maxPriorityNow(): number | null {
    const slow = [...running.values()].filter(({ job }) => job.priority > urgentPriority).length;
    return concurrency > 1 && slow >= slowPlaces ? urgentPriority : null;
  }

  function begin(job: Job): void {
    const handler = handlers.get(job.kind);
    if (handler === undefined) return;
    unclaimed.delete(job.id);
    events.publish(job);
    const run = runStage(job, {
      handler,
      claims,
      clock,
      logger,
      meter,
      publish: events.publish,
      leaseMs,
      heartbeatMs: options.heartbeatMs ?? 5_000,
      progressMs: options.progressMs ?? 500,
      abandonMs: options.abandonMs ?? 5_000,
      sliceMs: options.sliceMs ?? 2_000,
      othersWait: async () => (await claims.findClaimable(clock.now(), 1)).length > 0,
      retry: { firstMs: 1_000, maxMs: 60_000, ...options.retry, random: options.random ?? Math.random },
    });
    running.set(keyOf(job), { job, run, done: run.ended.then((recorded) => finish(job, recorded)) });
    countRunning(job.kind);
  }

  async function finish(job: Job, recorded: RecordedRun | null): Promise<void> {
    if (recorded === null) logger.warn({ job: job.id, stage: job.stage }, 'The lease of a job was lost');
    else await follow(recorded);
    running.delete(keyOf(job));
    countRunning(job.kind);
    void fill
      .run()
      .then(sweepUnclaimed)
      .then(() => giveRoom());
  }

  async function follow({ job, outcome }: RecordedRun): Promise<void> {
    try {
      await publishAndSettle(job);
      if (outcome.type === 'succeeded')
        meter.count('chatsphere_job_ended_total', { kind: job.kind, state: 'succeeded' });
      if (outcome.type === 'handed-back' || outcome.type === 'next-stage' || outcome.type === 'yielded')
        await announceOwn(job.id);
      if (outcome.type === 'retry') fillAt(outcome.runAt);
    } catch (error) {
      logger.warn({ job: job.id, error }, 'Could not follow up on a job; the reconciler will');
    }
  }

  /** The handler is told first, so that who hears of the job's end finds its source settled too. */
  async function publishAndSettle(job: Job): Promise<void> {
    if (hasEnded(job) && job.state !== 'succeeded') await settler.settle(job);
    events.publish(job);
  }

  function fillAt(time: number): void {
    clock.sleep(Math.max(0, time - clock.now()), stopping.signal).then(fill.run, () => {});
  }

  function announceOwn(jobId: string): Promise<void> {
    ownNews.add(jobId);
    return transport.announce(jobId);
  }

  /** It may have been asked to stop. */
  function checkRuns(jobId: string): void {
    for (const { job, run } of running.values()) if (job.id === jobId) run.check();
  }

  /** Resolves when there is room for another. */
  async function onAnnounced(jobId: string): Promise<void> {
    checkRuns(jobId);
    const isOwn = ownNews.delete(jobId);
    if (!isOwn) unclaimed.add(jobId);
    const filled = fill.run();
    if (!isOwn) void filled.then(sweepUnclaimed);
    await filled;
    await roomFree();
  }

  function roomFree(): Promise<void> | null {
    if (running.size < concurrency || stopping.signal.aborted) return null;
    room ??= new Promise((resolve) => {
      giveRoom = () => {
        room = null;
        resolve();
      };
    });
    return room;
  }

  /** While all places are taken, most of what is not claimed just waits: then seldom. */
  function sweepUnclaimed(): void {
    const isFull = running.size >= concurrency;
    if (unclaimed.size === 0 || (isFull && clock.now() - sweptAt < SWEEP_WHEN_FULL_MS)) return;
    unclaimed.clear();
    sweptAt = clock.now();
    void sweep.run();
  }

  function countRunning(kind: string): void {
    const count = [...running.values()].filter(({ job }) => job.kind === kind).length;
    meter.gauge('chatsphere_jobs_running', { kind }, count);
  }

  async function drain(): Promise<void> {
    const done = Promise.all([...running.values()].map((entry) => entry.done));
    const drained = new AbortController();
    await Promise.race([done.then(() => drained.abort()), clock.sleep(stopGraceMs, drained.signal).catch(() => {})]);
    for (const { run } of running.values()) run.stop();
    await done;
  }

  return {
    name: 'job runner',
    async start() {
      startedAt = clock.now();
      if (options.reclaimOwners === 'all') {
        await store.system.workers.removeUnseen(startedAt + 1);
        const expired = await claims.expireAllLeases(startedAt);
        if (expired > 0) logger.info({ jobs: expired }, 'Took over jobs of a process that ended');
      }
      unsubscribe = transport.subscribe(onAnnounced, checkRuns);
      reconciler.start();
    },
    async stop() {
      stopping.abort();
      unsubscribe();
      giveRoom();
      await reconciler.stop();
      await fill.idle();
      await drain();
      await sweep.idle();
      await store.system.workers.remove(options.owner).catch(() => {});
    },
  };
}

/** A lost job may be claimed again here while its lost run winds down: runs, not jobs, take places. */
function keyOf(job: Job): string {
  return `${job.id}:${job.fencingToken}`;
}
