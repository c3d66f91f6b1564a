import { sql } from 'kysely';
import { AppError } from '../kernel/index.ts';
import { openQueues } from './job-queues.ts';
import { toJob, toJobRow } from './job-rows.ts';
import { fetchTenantPage } from './paging.ts';
import type { JobLease, JobRepository } from './ports.ts';
import type { TenantScope } from './tenant-scope.ts';

export function createJobRepository(scope: TenantScope): JobRepository {
  const jobs = () => scope.select('jobs').selectAll('jobs');
  return {
    create: (job) =>
      scope.atomically(async (transaction) => {
        await Promise.all([transaction.insert('jobs', [toJobRow(job)]).execute(), openQueues(transaction, job)]);
      }),
    async get(id) {
      const row = await jobs().where('id', '=', id).executeTakeFirst();
      return row === undefined ? null : toJob(row);
    },
    list(page) {
      const { state, kind, botIds, sourceId, errorCode } = page;
      let found = jobs();
      // As a literal, so that the partial index on failed jobs serves it.
      if (state !== undefined) found = found.where('state', '=', sql.lit(state));
      if (kind !== undefined) found = found.where('kind', '=', kind);
      if (botIds !== undefined) found = found.where((where) => scope.dialect.isOneOf(where.ref('bot_id'), botIds));
      if (sourceId !== undefined) found = found.where('source_id', '=', sourceId);
      if (errorCode !== undefined)
        found = found.where('last_error_json', 'like', `{"code":${JSON.stringify(errorCode)},%`);
      return fetchTenantPage(scope, found, { table: 'jobs', page, toItem: toJob });
    },
    requestCancel: (id, now) =>
      scope.atomically(async (transaction) => {
        const change = (state: 'queued' | 'running') =>
          transaction.update('jobs').where('id', '=', id).where('state', '=', state).returningAll();
        const row =
          (await change('queued')
            .set({ state: 'cancelled', cancel_requested: 1, updated_at: now, finished_at: now })
            .executeTakeFirst()) ??
          (await change('running').set({ cancel_requested: 1, updated_at: now }).executeTakeFirst());
        return row === undefined ? null : toJob(row);
      }),
    retry: (id, { now, deadlineAt }) =>
      scope.atomically(async (transaction) => {
        const row = await transaction
          .update('jobs')
          .set({
            state: 'queued',
            attempts: 0,
            cancel_requested: 0,
            settled: 0,
            last_error_json: null,
            resume_json: null,
            run_at: now,
            deadline_at: deadlineAt,
            updated_at: now,
            finished_at: null,
          })
          .where('id', '=', id)
          .where('state', 'in', ['failed', 'cancelled'])
          .returningAll()
          .executeTakeFirst();
        if (row === undefined) return null;
        const job = toJob(row);
        await openQueues(transaction, job);
        return job;
      }),
  };
}

/** Rejects with `job_lease_lost` unless the lease holds; it then holds until the transaction ends. */
export async function requireLease(scope: TenantScope, lease: JobLease): Promise<void> {
  const held = await scope
    .select('jobs')
    .select('jobs.id')
    .where('id', '=', lease.jobId)
    .where('fencing_token', '=', lease.fencingToken)
    .where('state', '=', 'running')
    .$if(scope.dialect.rowLocks, (query) => query.forUpdate())
    .executeTakeFirst();
  if (held === undefined) throw new AppError('job_lease_lost', 'The job was taken over, cancelled or has ended.');
}
