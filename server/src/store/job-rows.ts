import { type Selectable, type SqlBool, sql } from 'kysely';
import type { JsonObject } from '../kernel/index.ts';
import type { Failure, Job } from './entities.ts';
import { readJson, readJsonOrNull, writeJson, writeJsonOrNull } from './json-columns.ts';
import type { JobsTable } from './schema.ts';
import type { NewRow } from './tenant-scope.ts';

/** Jobs that have not ended. Spelled as in the partial index on them, so that the index serves it. */
export const UNFINISHED = sql<SqlBool>`state in ('queued', 'running')`;

/** Failed or cancelled jobs whose handler has not been told. Spelled as in its partial index. */
export const UNSETTLED = sql<SqlBool>`state in ('failed', 'cancelled') and settled = 0`;

/** The queue of a tenant that a job waits in. */
export function queueOf({ botId }: Pick<Job, 'botId'>): string {
  return botId ?? '-';
}

export function toJobRow(job: Omit<Job, 'tenantId'>): NewRow<'jobs'> {
  return {
    id: job.id,
    bot_id: job.botId,
    source_id: job.sourceId,
    kind: job.kind,
    state: job.state,
    stage: job.stage,
    priority: job.priority,
    progress_done: job.progress.done,
    progress_total: job.progress.total,
    attempts: job.attempts,
    max_attempts: job.maxAttempts,
    lease_owner: job.lease?.owner ?? null,
    lease_expires_at: job.lease?.expiresAt ?? null,
    fencing_token: job.fencingToken,
    last_error_json: writeJsonOrNull(job.lastError),
    cancel_requested: job.cancelRequested ? 1 : 0,
    run_at: job.runAt,
    deadline_at: job.deadlineAt,
    payload_json: writeJson(job.payload),
    queue: queueOf(job),
    created_at: job.createdAt,
    updated_at: job.updatedAt,
    finished_at: job.finishedAt,
  };
}

export function toJob(row: Selectable<JobsTable>): Job {
  return {
    id: row.id,
    tenantId: row.tenant_id,
    botId: row.bot_id,
    sourceId: row.source_id,
    kind: row.kind,
    state: row.state as Job['state'],
    stage: row.stage,
    priority: row.priority,
    progress: { done: row.progress_done, total: row.progress_total },
    attempts: row.attempts,
    maxAttempts: row.max_attempts,
    lease:
      row.lease_owner === null || row.lease_expires_at === null
        ? null
        : { owner: row.lease_owner, expiresAt: row.lease_expires_at },
    fencingToken: row.fencing_token,
    lastError: readJsonOrNull<Failure>(row.last_error_json),
    cancelRequested: row.cancel_requested === 1,
    runAt: row.run_at,
    deadlineAt: row.deadline_at,
    payload: readJson<Job['payload']>(row.payload_json),
    ...(row.resume_json === null ? {} : { resume: readJson<JsonObject>(row.resume_json) }),
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    finishedAt: row.finished_at,
  };
}
