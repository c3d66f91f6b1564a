import { AppError, type Clock, type Logger } from '../kernel/index.ts';
import type { Job, JobClaims, JobLease } from '../store/index.ts';
import { cancelled, deadlineExceeded, leaseLost } from './stage-outcome.ts';

export interface LeaseKeeperOptions {
  readonly job: Job;
  readonly lease: JobLease;
  readonly claims: Pick<JobClaims, 'heartbeat'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly leaseMs: number;
  readonly heartbeatMs: number;
  /** Called after each heartbeat. */
  onBeat(): void;
}

export interface LeaseKeeper {
  /** Aborts when the stage must stop: lease lost, cancelled, past its deadline, or the process stops. */
  readonly signal: AbortSignal;
  /** Resolves when `signal` has aborted. */
  readonly stopped: Promise<void>;
  /** Aborts when the run is over. */
  readonly ended: AbortSignal;
  stopReason(): AppError | null;
  /** Begins the heartbeats. */
  start(): void;
  /** A heartbeat out of turn. */
  check(): Promise<void>;
  /** Tells the stage to stop because the process does. */
  drain(): void;
  /** Ends the heartbeats: the run is over. */
  stop(): void;
}

/** Holds a claimed job's lease by heartbeats for as long as a stage runs, and tells the stage when it must stop. */
export function createLeaseKeeper(options: LeaseKeeperOptions): LeaseKeeper {
  const { job, lease, claims, clock, logger, leaseMs, heartbeatMs } = options;
  const stopping = new AbortController();
  const ended = new AbortController();
  const stopped = new Promise<void>((resolve) => stopping.signal.addEventListener('abort', () => resolve()));
  let reason: AppError | null = null;
  let heldUntil = job.lease?.expiresAt ?? clock.now() + leaseMs;

  function tellToStop(why: AppError): void {
    reason ??= why;
    stopping.abort(reason);
  }

  async function keep(): Promise<void> {
    while (true) {
      const untilDeadline = reason === null ? Math.max(0, job.deadlineAt - clock.now()) : Number.POSITIVE_INFINITY;
      try {
        await clock.sleep(Math.min(heartbeatMs, untilDeadline), ended.signal);
      } catch {
        return;
      }
      if (clock.now() >= job.deadlineAt) tellToStop(deadlineExceeded());
      await check();
      options.onBeat();
    }
  }

  async function check(): Promise<void> {
    if (ended.signal.aborted) return;
    const now = clock.now();
    try {
      const current = await claims.heartbeat(lease, { now, expiresAt: now + leaseMs });
      if (current === null) tellToStop(leaseLost());
      else if (current.cancelRequested) tellToStop(cancelled());
      if (current !== null) heldUntil = now + leaseMs;
    } catch (error) {
      logger.warn({ job: job.id, error }, 'A heartbeat failed');
      if (clock.now() >= heldUntil) tellToStop(leaseLost());
    }
  }

  return {
    signal: stopping.signal,
    stopped,
    ended: ended.signal,
    stopReason: () => reason,
    start: () => void keep(),
    check,
    drain: () => tellToStop(new AppError('server_draining', 'The server is stopping.')),
    stop: () => ended.abort(),
  };
}
