import type { JsonObject } from '../kernel/index.ts';
import type { Job, JobLease } from '../store/index.ts';

/**
 * Says "look at job N" to whoever runs jobs: it is ready, or was asked to stop. May lose, repeat or merge announcements: the
 * row in the store is the job, and a runner finds by itself, a little later, what it was not told. Which job is next is
 * the store's to say as well, whatever order announcements come in.
 */
export interface JobTransport {
  /** Announce a job after the transaction that created it, retried it or asked it to stop. */
  announce(jobId: string): Promise<void>;
  /**
   * Calls `onReady` for each announcement that this process is to look at; when one is made again after that, too. What it
   * returns settles once there is room for more: where processes share a transport, another one gets the next meanwhile. There,
   * `onNews` is called for what any of them was told.
   */
  subscribe(onReady: (jobId: string) => void | Promise<void>, onNews?: (jobId: string) => void): () => void;
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** What a stage is given. Everything it writes goes through `store.fencedTransaction(lease, ...)`. */
export interface StageContext {
  readonly job: Job;
  readonly lease: JobLease;
  /** Aborts when the lease is lost, the job is cancelled or past its deadline, or the process stops. */
  readonly signal: AbortSignal;
  /** Reports how much of this stage is done, earlier runs included; rate-limited by the runner, never throws. */
  progress(done: number, total: number): void;
  /**
   * Whether the stage has had its time and others wait: it should return `yielded` as soon as what it has done is stored,
   * to be run again behind them.
   */
  sliceOver(): boolean;
}

export type StageResult =
  | { readonly type: 'next-stage'; readonly stage: string; readonly priority: number }
  /** Unfinished: queued again at this stage behind those who wait, to go on at `resume` (see `Job`). */
  | { readonly type: 'yielded'; readonly resume?: JsonObject }
  | { readonly type: 'succeeded' };

/**
 * The stages of one kind of job. Each must be idempotent: after a crash it runs again from its start. A stage that
 * throws an AppError with `retryable` is tried again with back-off until the attempts are used up.
 */
export interface JobHandler {
  readonly kind: string;
  readonly firstStage: string;
  readonly stages: Readonly<Record<string, (context: StageContext) => Promise<StageResult>>>;
  /**
   * Called when the job has ended as failed or cancelled, to settle what it worked on; again after a crash or when it
   * threw. Must be idempotent, and must leave alone what a newer job has taken over or what is gone.
   */
  onFailed(job: Job, error: { readonly code: string; readonly message: string }): Promise<void>;
}

/** News of a job for those who watch it (SSE, CLI). */
export interface JobEvents {
  publish(job: Job): void;
  /**
   * Yields the job now and after each change. Ends after a final state, when the job is gone, and when the signal
   * aborts. Rejects with `job_not_found` when there was no such job to begin with.
   */
  watch(tenantId: string, jobId: string, signal: AbortSignal): AsyncIterable<Job>;
}
