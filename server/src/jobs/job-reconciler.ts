import type { Clock, Logger } from '../kernel/index.ts';
import type { Job, JobClaims } from '../store/index.ts';
import type { JobTransport } from './ports.ts';
import { deadlineExceeded } from './stage-outcome.ts';

export interface JobReconcilerOptions {
  readonly claims: Pick<JobClaims, 'findClaimable' | 'findOverdue' | 'fail' | 'tidyQueues'>;
  readonly transport: JobTransport;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly intervalMs: number;
  /** Called in each round, after the jobs were looked at. */
  onRound(): Promise<unknown>;
  /** Called with each job that a round ended, as it is then. */
  onFailed(job: Job): Promise<void>;
}

const BATCH = 100;
const TIDY_EVERY_MS = 60_000;

/**
 * The slow round that makes up for what was lost: fails jobs past their deadline and announces what can be claimed. The
 * first round runs at the start.
 */
export function createJobReconciler(options: JobReconcilerOptions): { start(): void; stop(): Promise<void> } {
  const { claims, transport, clock, logger } = options;
  const stopping = new AbortController();
  let rounds: Promise<void> = Promise.resolve();
  let tidyAt = 0;

  async function repeat(): Promise<void> {
    while (!stopping.signal.aborted) {
      await round().catch((error: unknown) => logger.warn({ error }, 'A round of the job reconciler failed'));
      await clock.sleep(options.intervalMs, stopping.signal).catch(() => {});
    }
  }

  async function round(): Promise<void> {
    const now = clock.now();
    for (const job of await claims.findOverdue(now, BATCH)) await failOverdue(job, now);
    const claimable = await claims.findClaimable(now, BATCH);
    await Promise.all(claimable.map((jobId) => transport.announce(jobId)));
    await options.onRound();
    if (now < tidyAt) return;
    tidyAt = now + TIDY_EVERY_MS;
    await claims.tidyQueues();
  }

  /** A job with a living lease is ended by its worker, which stops the stage first. */
  async function failOverdue(job: Job, now: number): Promise<void> {
    if (job.lease !== null && job.lease.expiresAt > now) return;
    const { code, message } = deadlineExceeded();
    const error = { code, message };
    if (!(await claims.fail(job.id, error, now))) return;
    await options.onFailed({ ...job, state: 'failed', lease: null, lastError: error, finishedAt: now, updatedAt: now });
  }

  return {
    start: () => {
      rounds = repeat();
    },
    async stop() {
      stopping.abort();
      await rounds;
    },
  };
}
