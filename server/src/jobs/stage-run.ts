import { AppError, type Clock, type Logger, type Meter, toAppError } from '../kernel/index.ts';
import type { Job, JobClaims, JobLease, JobOutcome } from '../store/index.ts';
import { createLeaseKeeper } from './lease-keeper.ts';
import type { JobHandler, StageContext, StageResult } from './ports.ts';
import { createProgressRecorder } from './progress-recorder.ts';
import { type RetryDelayOptions, retryDelayMs } from './retry-delay.ts';
import { outcomeOfRun, outcomeWithoutRun, type StageEnd } from './stage-outcome.ts';
import { createTimeSlice } from './time-slice.ts';

export interface StageRunOptions {
  readonly handler: JobHandler;
  readonly claims: Pick<JobClaims, 'heartbeat' | 'progress' | 'release'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly meter: Meter;
  /** Tells watchers of progress. */
  publish(job: Job): void;
  readonly leaseMs: number;
  readonly heartbeatMs: number;
  readonly progressMs: number;
  /** How long a stage that was told to stop may take to do so, in milliseconds. */
  readonly abandonMs: number;
  readonly retry: RetryDelayOptions;
  /** How long a stage may keep its place while others wait, in milliseconds. */
  readonly sliceMs: number;
  /** Whether a job could run that does not. */
  othersWait(): Promise<boolean>;
}

export interface RecordedRun {
  readonly outcome: JobOutcome;
  readonly job: Job;
}

/** One run of one stage of a claimed job. */
export interface StageRun {
  /** Resolves to what was recorded of the run and the job as it is then, null when the lease was lost. Never rejects. */
  readonly ended: Promise<RecordedRun | null>;
  /** Looks at the row at once: was the job asked to stop? */
  check(): void;
  /** Tells the stage to stop; its job is given back, to go on in another process. */
  stop(): void;
}

const RELEASE_TRIES = 6;
const RELEASE_PAUSE_MS = 100;

/** Runs the stage that a claimed job is at: keeps its lease, bounds its time, and records how it ended. */
export function runStage(job: Job, options: StageRunOptions): StageRun {
  const { handler, claims, clock, logger } = options;
  const lease: JobLease = { jobId: job.id, fencingToken: job.fencingToken };
  const about = { job: job.id, kind: job.kind, stage: job.stage, attempt: job.attempts };
  const keeper = createLeaseKeeper({ ...options, job, lease, onBeat: () => void progress.flush() });
  const progress = createProgressRecorder({
    initial: job.progress,
    write: recordProgress,
    clock,
    everyMs: options.progressMs,
  });

  const slice = createTimeSlice({ ...options, ended: keeper.ended });

  async function recordProgress(done: Job['progress']): Promise<boolean> {
    try {
      const now = clock.now();
      const recorded = await claims.progress(lease, done, now);
      if (recorded) options.publish({ ...job, progress: done, updatedAt: now });
      else await keeper.check();
      return recorded;
    } catch (error) {
      logger.warn({ ...about, error }, 'Could not record the progress of a job');
      return false;
    }
  }

  async function run(): Promise<RecordedRun | null> {
    try {
      const outcome = outcomeWithoutRun(job, clock.now()) ?? (await runToOutcome());
      if (outcome === null) return null;
      const released = await release(outcome);
      return released === null ? null : { outcome, job: released };
    } catch (error) {
      logger.error({ ...about, error }, 'Could not record how a stage ended; it runs again when its lease expires');
      return null;
    } finally {
      keeper.stop();
    }
  }

  /** Asks again when another change was in the way, or the database away for a moment: else the job waits for its lease. */
  async function release(outcome: JobOutcome): Promise<Job | null> {
    for (let tries = 1; ; tries += 1) {
      try {
        return await claims.release(lease, outcome, clock.now());
      } catch (error) {
        if (!toAppError(error).retryable || tries === RELEASE_TRIES) throw error;
        await clock.sleep(RELEASE_PAUSE_MS * tries);
      }
    }
  }

  async function runToOutcome(): Promise<JobOutcome | null> {
    keeper.start();
    void slice.start();
    const startedAt = clock.now();
    const end = await Promise.race([callStage(), abandonment()]);
    options.meter.observe(
      'chatsphere_job_stage_duration_seconds',
      { kind: job.kind, stage: job.stage },
      (clock.now() - startedAt) / 1_000,
    );
    if (end.type === 'returned') {
      // What comes after goes on from here.
      if (end.result.type === 'yielded') await progress.flush();
      return withProgress(end.result, await progress.unwritten());
    }
    await progress.flush();
    if (end.type === 'threw') {
      logFailure(end.error);
      // The store refuses writes of a cancelled job as it does those of a lost one: ask which it is.
      if (isLeaseLost(end.error)) await keeper.check();
    }
    const attempts = progress.hasAdvanced() ? 1 : job.attempts;
    const delayMs = retryDelayMs(attempts, options.retry);
    return outcomeOfRun({ job, end, stopped: keeper.stopReason(), attempts, now: clock.now(), delayMs });
  }

  /** The last progress is recorded with the end of the job; at the end of a stage, progress begins anew. */
  function withProgress(result: StageResult, last: Job['progress'] | null): JobOutcome {
    if (result.type === 'yielded') return result;
    if (last === null) return result;
    if (result.type === 'succeeded') return { ...result, progress: last };
    options.publish({ ...job, progress: last, updatedAt: clock.now() });
    return result;
  }

  async function callStage(): Promise<StageEnd> {
    const stage = handler.stages[job.stage];
    const context: StageContext = {
      job,
      lease,
      signal: keeper.signal,
      progress: progress.report,
      sliceOver: slice.isOver,
    };
    try {
      if (stage === undefined) throw unknownStage(job);
      return { type: 'returned', result: await stage(context) };
    } catch (error) {
      return { type: 'threw', error };
    }
  }

  /** Resolves when the stage was told to stop and did not. */
  async function abandonment(): Promise<StageEnd> {
    await keeper.stopped;
    await clock.sleep(options.abandonMs, keeper.ended).catch(() => {});
    if (!keeper.ended.aborted) logger.error(about, 'A stage did not stop when it was told to; it is left to itself');
    return { type: 'abandoned' };
  }

  function logFailure(error: unknown): void {
    if (keeper.signal.aborted || (error instanceof AppError && error.code === 'job_cancelled'))
      logger.info({ ...about, error }, 'A stage was stopped');
    else if (error instanceof AppError) logger.warn({ ...about, error }, 'A stage failed');
    else logger.error({ ...about, error }, 'A stage failed for a reason it does not know');
  }

  return { ended: run(), check: () => void keeper.check(), stop: () => keeper.drain() };
}

function isLeaseLost(error: unknown): boolean {
  return error instanceof AppError && error.code === 'job_lease_lost';
}

function unknownStage({ kind, stage }: Job): AppError {
  return new AppError(
    'internal_error',
    `This version of the server does not know the stage "${stage}" of ${kind} jobs.`,
  );
}
