import { AppError, toAppError } from '../kernel/index.ts';
import type { Failure, Job, JobOutcome } from '../store/index.ts';
import type { StageResult } from './ports.ts';

/** How one run of a stage came to its end. */
export type StageEnd =
  | { readonly type: 'returned'; readonly result: StageResult }
  | { readonly type: 'threw'; readonly error: unknown }
  /** It did not stop in time when it was told to; what it still writes is refused by the fence. */
  | { readonly type: 'abandoned' };

export interface EndedRun {
  readonly job: Job;
  readonly end: Exclude<StageEnd, { readonly type: 'returned' }>;
  /** Why the stage was told to stop, when it was. */
  readonly stopped: AppError | null;
  /** Runs without progress so far, with this one. */
  readonly attempts: number;
  readonly now: number;
  readonly delayMs: number;
}

/** When a process dies, seldom one of the stages it ran was the cause: such ends are forgiven this many times as often. */
const CRASHES_AN_ATTEMPT = 4;

/** Why a claimed job is ended without being run; null: run it. */
export function outcomeWithoutRun(job: Job, now: number): JobOutcome | null {
  if (job.cancelRequested) return { type: 'cancelled' };
  if (job.deadlineAt <= now) return { type: 'failed', error: failureOf(deadlineExceeded()) };
  if (job.attempts > job.maxAttempts * CRASHES_AN_ATTEMPT)
    return { type: 'failed', error: failureOf(attemptsExhausted(job)) };
  return null;
}

/** What the end of a run that came to no result means for its job; null when the lease was lost, and the job with it. */
export function outcomeOfRun(run: EndedRun): JobOutcome | null {
  if (run.stopped !== null) return outcomeOfStop(run.stopped);
  if (run.end.type === 'abandoned') return null;
  const error = toAppError(run.end.error);
  if (error.code === 'job_lease_lost') return null;
  // A newer job has its source, or the source is gone: nothing has failed.
  if (error.code === 'job_cancelled') return { type: 'cancelled' };
  return error.retryable ? retryOrFail(run, error) : { type: 'failed', error: failureOf(error) };
}

function outcomeOfStop(reason: AppError): JobOutcome | null {
  switch (reason.code) {
    case 'job_cancelled':
      return { type: 'cancelled' };
    case 'job_deadline_exceeded':
      return { type: 'failed', error: failureOf(reason) };
    case 'server_draining':
      return { type: 'handed-back' };
    default:
      return null;
  }
}

/** A retry that could only start after the deadline is no retry: the job fails now, with the cause that can be acted on. */
function retryOrFail({ job, attempts, now, delayMs }: EndedRun, cause: AppError): JobOutcome {
  const error = failureOf(cause);
  const runAt = now + Math.max(delayMs, cause.retryAfterMs ?? 0);
  return attempts >= job.maxAttempts || runAt >= job.deadlineAt
    ? { type: 'failed', error }
    : { type: 'retry', error, runAt };
}

function failureOf({ code, message }: AppError): Failure {
  return { code, message };
}

export function leaseLost(): AppError {
  return new AppError('job_lease_lost', 'Another worker has taken this job over.');
}

export function cancelled(): AppError {
  return new AppError('job_cancelled', 'The job was cancelled.');
}

export function deadlineExceeded(): AppError {
  return new AppError(
    'job_deadline_exceeded',
    'The job was not finished in the time it was given. Retry it, or train on smaller pieces.',
  );
}

function attemptsExhausted({ attempts, stage }: Job): AppError {
  return new AppError(
    'job_attempts_exhausted',
    `The server stopped ${attempts - 1} times during the stage "${stage}" before it got any further. Look in the log, then retry the job.`,
  );
}
