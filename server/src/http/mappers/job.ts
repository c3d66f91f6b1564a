import { isAlive } from '../../jobs/index.ts';
import type { Job, Worker } from '../../store/index.ts';
import type { WireJob, WireWorkers } from '../contract/index.ts';
import { toSeconds } from './time.ts';

/** What a job may be waiting for. */
export interface Surroundings {
  readonly workers: readonly Worker[];
  readonly now: number;
}

export function toWireJob(job: Job, surroundings: Surroundings): WireJob {
  return {
    id: job.id,
    object: 'job',
    kind: job.kind,
    status: job.state,
    stage: job.stage,
    progress: { ...job.progress },
    attempts: job.attempts,
    max_attempts: job.maxAttempts,
    cancel_requested: job.cancelRequested,
    waiting_for: job.state === 'queued' ? waitingFor(job, surroundings) : null,
    last_error: job.lastError && { ...job.lastError },
    bot_id: job.botId,
    source_id: job.sourceId,
    created_at: toSeconds(job.createdAt),
    updated_at: toSeconds(job.updatedAt),
    finished_at: toSeconds(job.finishedAt),
    deadline_at: toSeconds(job.deadlineAt),
  };
}

function waitingFor({ runAt }: Job, { workers, now }: Surroundings): WireJob['waiting_for'] {
  if (!workers.some((worker) => isAlive(worker, now))) {
    const message = 'No worker runs. The job is kept; start the server or a worker, or see `chatsphere doctor`.';
    return { reason: 'worker', message };
  }
  if (runAt > now) {
    return { reason: 'retry', message: `It failed and is tried again in ${Math.ceil((runAt - now) / 1_000)} seconds.` };
  }
  return { reason: 'turn', message: 'Other jobs run now. It is next when its turn comes.' };
}

export function toWireWorkers(
  { workers, now }: Surroundings,
  waiting: { readonly jobs: number; readonly dueSince: number | null },
): WireWorkers {
  const data = workers.map((worker) => ({
    id: worker.id,
    object: 'worker' as const,
    host: worker.host,
    pid: worker.pid,
    alive: isAlive(worker, now),
    places: worker.places,
    running: worker.running,
    started_at: toSeconds(worker.startedAt),
    seen_at: toSeconds(worker.seenAt),
  }));
  const oldest = waiting.dueSince === null ? 0 : Math.max(0, (now - waiting.dueSince) / 1_000);
  return { object: 'list', data, waiting: { jobs: waiting.jobs, oldest_seconds: oldest } };
}
