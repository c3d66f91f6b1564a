import { AppError } from '../kernel/index.ts';
import { toJob, toJobRow } from './job-rows.ts';
import { fetchTenantPage } from './paging.ts';
import type { JobLease, JobRepository } from './ports.ts';
import type { TenantScope } from './tenant-scope.ts';

export function createJobRepository(scope: TenantScope): JobRepository {
  const jobs = () => scope.select('jobs').selectAll('jobs');
  return {
    async create(job) {
      await scope.insert('jobs', [toJobRow(job)]).execute();
    },
    async get(id) {
      const row = await jobs().where('id', '=', id).executeTakeFirst();
      return row === undefined ? null : toJob(row);
    },
    list: (page) => fetchTenantPage(scope, jobs(), { table: 'jobs', page, toItem: toJob }),
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
    async retry(id, { now, deadlineAt }) {
      const row = await scope
        .update('jobs')
        .set({
          state: 'queued',
          attempts: 0,
          cancel_requested: 0,
          settled: 0,
          last_error_json: null,
          run_at: now,
          deadline_at: deadlineAt,
          updated_at: now,
          finished_at: null,
        })
        .where('id', '=', id)
        .where('state', 'in', ['failed', 'cancelled'])
        .returningAll()
        .executeTakeFirst();
      return row === undefined ? null : toJob(row);
    },
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
