import type { Job } from '../../store/index.ts';
import type { WireJob } from '../contract/index.ts';
import { toSeconds } from './time.ts';

export function toWireJob(job: Job): WireJob {
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
    last_error: job.lastError && { ...job.lastError },
    bot_id: job.botId,
    source_id: job.sourceId,
    created_at: toSeconds(job.createdAt),
    updated_at: toSeconds(job.updatedAt),
    finished_at: toSeconds(job.finishedAt),
    deadline_at: toSeconds(job.deadlineAt),
  };
}
