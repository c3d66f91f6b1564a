import type { Logger, Meter } from '../kernel/index.ts';
import type { Failure, Job, JobClaims } from '../store/index.ts';
import type { JobHandler } from './ports.ts';

export interface JobSettlerOptions {
  readonly handlers: ReadonlyMap<string, JobHandler>;
  readonly claims: Pick<JobClaims, 'findUnsettled' | 'settle'>;
  readonly logger: Logger;
  readonly meter: Meter;
}

export interface JobSettler {
  /** Tells the handler of a job that ended as failed or cancelled. Never rejects: what fails here is tried again later. */
  settle(job: Job): Promise<void>;
  /** Settles every job that ended without its handler being told: cancelled while queued, or cut off by a crash. */
  settleAll(): Promise<void>;
}

const BATCH = 100;

export function createJobSettler({ handlers, claims, logger, meter }: JobSettlerOptions): JobSettler {
  const kinds = [...handlers.keys()];
  const settling = new Set<string>();

  async function settle(job: Job): Promise<void> {
    const handler = handlers.get(job.kind);
    // Of another kind: another runner settles it.
    if (handler === undefined || settling.has(job.id)) return;
    settling.add(job.id);
    try {
      await handler.onFailed(job, failureOf(job));
      if (await claims.settle(job.id)) {
        meter.count('chatsphere_job_ended_total', { kind: job.kind, state: job.state });
        logger.info({ job: job.id, kind: job.kind, stage: job.stage, code: failureOf(job).code }, `Job ${job.state}`);
      }
    } catch (error) {
      logger.error({ job: job.id, kind: job.kind, error }, 'Could not settle an ended job; will try again');
    } finally {
      settling.delete(job.id);
    }
  }

  async function settleAll(): Promise<void> {
    const jobs = await claims.findUnsettled(kinds, BATCH);
    for (const job of jobs) await settle(job);
  }

  return { settle, settleAll };
}

function failureOf(job: Job): Failure {
  if (job.state === 'cancelled') return { code: 'job_cancelled', message: 'The job was cancelled.' };
  return job.lastError ?? { code: 'internal_error', message: 'The job failed for a reason that was not recorded.' };
}
