import { AppError, type JsonObject } from '../../kernel/index.ts';
import type {
  Job,
  JobClaims,
  JobLease,
  JobOutcome,
  JobRepository,
  QueuedJobs,
  Worker,
  WorkerRegistry,
} from '../../store/index.ts';
import { createFakeJobQueues } from './fake-job-queues.ts';

/** The store's jobs in memory, with the same rules for leases and fencing. */
export interface FakeJobStore {
  forTenant(tenantId: string): {
    readonly jobs: JobRepository;
    /** Runs the work if the lease is held, else rejects with `job_lease_lost`. */
    fencedTransaction<Result>(lease: JobLease, work: () => Promise<Result>): Promise<Result>;
  };
  readonly system: { readonly jobs: JobClaims; readonly workers: WorkerRegistry };
}

interface Row extends Job {
  readonly settled: boolean;
  readonly claimedAt?: number;
}

const UNFINISHED: ReadonlySet<string> = new Set(['queued', 'running']);

export function createFakeJobStore(): FakeJobStore {
  const rows = new Map<string, Row>();
  const queues = createFakeJobQueues();

  const change = (job: Job, changes: Partial<Row>, now: number): Job => {
    const row = { ...(rows.get(job.id) ?? { ...job, settled: false }), ...changes, updatedAt: now };
    rows.set(job.id, row);
    return toJob(row);
  };
  const held = ({ jobId, fencingToken }: JobLease): Row | null => {
    const row = rows.get(jobId);
    return row?.state === 'running' && row.fencingToken === fencingToken ? row : null;
  };
  const find = (matches: (row: Row) => boolean, limit: number): readonly Job[] =>
    [...rows.values()].filter(matches).slice(0, limit).map(toJob);

  const claims: JobClaims = {
    async claim({ owner, kinds, now, leaseMs, maxPriority }) {
      const claimable = [...rows.values()]
        .filter((row) => isClaimable(row, now) && kinds.includes(row.kind))
        .filter((row) => maxPriority === null || row.priority <= maxPriority);
      const [next] = queues.inOrder(claimable);
      if (next === undefined) return null;
      queues.chargeClaim(next);
      const lease = { owner, expiresAt: now + leaseMs };
      const { fencingToken, attempts } = next;
      const claimed = { lease, fencingToken: fencingToken + 1, attempts: attempts + 1, claimedAt: now };
      return change(next, { state: 'running', ...claimed }, now);
    },
    async heartbeat(lease, { now, expiresAt }) {
      const row = held(lease);
      if (row?.lease == null) return null;
      return change(row, { lease: { owner: row.lease.owner, expiresAt } }, now);
    },
    async progress(lease, progress, now) {
      const row = held(lease);
      if (row === null) return false;
      change(row, { progress, attempts: progress.done > row.progress.done ? 1 : row.attempts }, now);
      return true;
    },
    async release(lease, outcome, now) {
      const row = held(lease);
      if (row === null) return null;
      if (outcome.type === 'next-stage') rows.set(row.id, withoutResume(row));
      queues.chargeTime(row, now - (row.claimedAt ?? now));
      return change(row, { ...changesOf(row, outcome, now), lease: null }, now);
    },
    async findClaimable(now, limit) {
      return find((row) => isClaimable(row, now), limit).map((job) => job.id);
    },
    async findOverdue(now, limit) {
      return find((row) => UNFINISHED.has(row.state) && row.deadlineAt <= now, limit);
    },
    async fail(jobId, error, now) {
      const row = rows.get(jobId);
      if (row === undefined || !UNFINISHED.has(row.state)) return false;
      change(row, { state: 'failed', lease: null, lastError: error, finishedAt: now, settled: false }, now);
      return true;
    },
    async countQueued(now) {
      const counts = new Map<string, QueuedJobs>();
      for (const { kind, stage, runAt } of find((row) => row.state === 'queued', Number.POSITIVE_INFINITY)) {
        const { jobs, dueSince } = counts.get(`${kind} ${stage}`) ?? { jobs: 0, dueSince: null };
        const earliest = runAt <= now ? Math.min(runAt, dueSince ?? runAt) : dueSince;
        counts.set(`${kind} ${stage}`, { kind, stage, jobs: jobs + 1, dueSince: earliest });
      }
      return [...counts.values()];
    },
    async tidyQueues() {},
    async removeEnded(before, limit) {
      const ended = (row: Row): boolean =>
        row.finishedAt !== null && row.finishedAt < (row.state === 'succeeded' ? before.succeeded : before.failed);
      const gone = find(ended, limit);
      for (const { id } of gone) rows.delete(id);
      return gone.length;
    },
    async findUnsettled(kinds, limit) {
      return find((row) => isUnsettled(row) && kinds.includes(row.kind), limit);
    },
    async settle(jobId) {
      const row = rows.get(jobId);
      if (row === undefined || !isUnsettled(row)) return false;
      rows.set(jobId, { ...row, settled: true });
      return true;
    },
    async expireAllLeases(now) {
      const leased = [...rows.values()].filter((row) => row.lease !== null && row.lease.expiresAt > now);
      for (const row of leased) {
        if (row.lease) rows.set(row.id, { ...row, lease: { owner: row.lease.owner, expiresAt: now } });
      }
      return leased.length;
    },
  };

  const jobsOf = (tenantId: string): JobRepository => {
    const own = (id: string): Row | null => {
      const row = rows.get(id);
      return row?.tenantId === tenantId ? row : null;
    };
    return {
      async create(job) {
        rows.set(job.id, { ...job, tenantId, settled: false });
      },
      async get(id) {
        const row = own(id);
        return row && toJob(row);
      },
      async list({ limit, state, kind, botIds, sourceId, errorCode }) {
        const matches = (row: Row): boolean =>
          row.tenantId === tenantId &&
          row.state === (state ?? row.state) &&
          row.kind === (kind ?? row.kind) &&
          row.sourceId === (sourceId ?? row.sourceId) &&
          (botIds === undefined || (row.botId !== null && botIds.includes(row.botId))) &&
          (errorCode === undefined || row.lastError?.code === errorCode);
        const items = find(matches, limit + 1);
        return { items: items.slice(0, limit), hasMore: items.length > limit };
      },
      async requestCancel(id, now) {
        const row = own(id);
        if (row === null || !UNFINISHED.has(row.state)) return null;
        if (row.state === 'running') return change(row, { cancelRequested: true }, now);
        return change(row, { state: 'cancelled', cancelRequested: true, finishedAt: now, settled: false }, now);
      },
      async retry(id, { now, deadlineAt }) {
        const row = own(id);
        if (row === null || (row.state !== 'failed' && row.state !== 'cancelled')) return null;
        rows.set(id, withoutResume(row));
        return change(row, { ...RETRIED, runAt: now, deadlineAt }, now);
      },
    };
  };

  return {
    forTenant: (tenantId) => ({
      jobs: jobsOf(tenantId),
      async fencedTransaction(lease, work) {
        const row = held(lease);
        if (row === null || row.cancelRequested) throw leaseLost();
        return work();
      },
    }),
    system: { jobs: claims, workers: createFakeWorkerRegistry() },
  };
}

function createFakeWorkerRegistry(): WorkerRegistry {
  const workers = new Map<string, Worker>();
  return {
    beat: async (worker) => void workers.set(worker.id, worker),
    list: async () => [...workers.values()],
    remove: async (id) => void workers.delete(id),
    async removeUnseen(before) {
      const unseen = [...workers.values()].filter((worker) => worker.seenAt < before);
      for (const { id } of unseen) workers.delete(id);
      return unseen.length;
    },
  };
}

const RETRIED = {
  state: 'queued',
  attempts: 0,
  cancelRequested: false,
  lastError: null,
  finishedAt: null,
  settled: false,
} satisfies Partial<Row>;

function changesOf(row: Row, outcome: JobOutcome, now: number): Partial<Row> {
  switch (outcome.type) {
    case 'next-stage': {
      const { stage, priority } = outcome;
      const progress = { done: 0, total: 0 };
      return { state: 'queued', stage, priority, progress, attempts: 0, lastError: null, runAt: now };
    }
    case 'succeeded':
      return { state: 'succeeded', lastError: null, finishedAt: now, progress: outcome.progress ?? row.progress };
    case 'failed':
      return { state: 'failed', lastError: outcome.error, finishedAt: now, settled: false };
    case 'cancelled':
      return { state: 'cancelled', finishedAt: now, settled: false };
    case 'retry':
      return { state: 'queued', lastError: outcome.error, runAt: outcome.runAt };
    case 'yielded':
      return { state: 'queued', attempts: 0, lastError: null, runAt: now, ...resumeOf(outcome) };
    case 'handed-back':
      return { state: 'queued', attempts: Math.max(0, row.attempts - 1), runAt: now };
  }
}

function resumeOf({ resume }: { readonly resume?: JsonObject }): Partial<Row> {
  return resume === undefined ? {} : { resume };
}

function withoutResume({ resume: _, ...row }: Row): Row {
  return row;
}

function isClaimable(row: Row, now: number): boolean {
  if (row.state === 'queued') return row.runAt <= now;
  return row.state === 'running' && (row.lease === null || row.lease.expiresAt <= now);
}

function isUnsettled(row: Row): boolean {
  return !row.settled && (row.state === 'failed' || row.state === 'cancelled');
}

function toJob({ settled: _, claimedAt: _claimedAt, ...job }: Row): Job {
  return job;
}

function leaseLost(): AppError {
  return new AppError('job_lease_lost', 'Another worker has taken this job over.');
}
