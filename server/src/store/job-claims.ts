import { type Kysely, type Selectable, sql, type Updateable } from 'kysely';
import type { Job } from './entities.ts';
import { toJob, UNFINISHED, UNSETTLED } from './job-rows.ts';
import { writeJson } from './json-columns.ts';
import type { JobClaims, JobLease, JobOutcome } from './ports.ts';
import type { JobsTable, Schema } from './schema.ts';
import type { SqlDialect } from './sql-dialect.ts';

/** The runner's side of jobs, across tenants. */
export function createJobClaims(database: Kysely<Schema>, dialect: SqlDialect): JobClaims {
  const claimable = (now: number) =>
    database
      .selectFrom('jobs')
      .select('jobs.id')
      .where(UNFINISHED)
      .where((where) =>
        where.or([
          where.and([where('state', '=', 'queued'), where('run_at', '<=', now)]),
          where.and([where('state', '=', 'running'), where('lease_expires_at', '<=', now)]),
        ]),
      )
      .orderBy('priority')
      .orderBy('run_at')
      .orderBy('number');

  const held = (lease: JobLease) =>
    database
      .updateTable('jobs')
      .where('id', '=', lease.jobId)
      .where('fencing_token', '=', lease.fencingToken)
      .where('state', '=', 'running');

  return {
    async claim({ owner, kinds, now, leaseMs, maxPriority }) {
      const next = claimable(now)
        .where('kind', 'in', [...kinds])
        .limit(1)
        .$if(maxPriority !== null, (query) => query.where('priority', '<=', maxPriority ?? 0))
        .$if(dialect.rowLocks, (query) => query.forUpdate().skipLocked());
      const row = await database
        .updateTable('jobs')
        .set({
          state: 'running',
          attempts: sql`attempts + 1`,
          fencing_token: sql`fencing_token + 1`,
          lease_owner: owner,
          lease_expires_at: now + leaseMs,
          updated_at: now,
        })
        .where('id', '=', next)
        .returningAll()
        .executeTakeFirst();
      return toJobOrNull(row);
    },
    async heartbeat(lease, { now, expiresAt }) {
      const row = await held(lease)
        .set({ lease_expires_at: expiresAt, updated_at: now })
        .returningAll()
        .executeTakeFirst();
      return toJobOrNull(row);
    },
    async progress(lease, progress, now) {
      const { numUpdatedRows } = await held(lease)
        .set({
          attempts: sql`case when progress_done < ${progress.done} then 1 else attempts end`,
          progress_done: progress.done,
          progress_total: progress.total,
          updated_at: now,
        })
        .executeTakeFirst();
      return numUpdatedRows > 0n;
    },
    async release(lease, outcome, now) {
      const { numUpdatedRows } = await held(lease)
        .set({
          ...columnsOf(outcome, now),
          ...attemptsAfter(outcome),
          lease_owner: null,
          lease_expires_at: null,
          updated_at: now,
        })
        .executeTakeFirst();
      return numUpdatedRows > 0n;
    },
    async findClaimable(now, limit) {
      const rows = await claimable(now).limit(limit).execute();
      return rows.map(({ id }) => id);
    },
    async findOverdue(now, limit) {
      const rows = await database
        .selectFrom('jobs')
        .selectAll()
        .where(UNFINISHED)
        .where('deadline_at', '<', now)
        .orderBy('number')
        .limit(limit)
        .execute();
      return rows.map(toJob);
    },
    async fail(jobId, error, now) {
      const { numUpdatedRows } = await database
        .updateTable('jobs')
        .set({
          state: 'failed',
          last_error_json: writeJson(error),
          lease_owner: null,
          lease_expires_at: null,
          updated_at: now,
          finished_at: now,
        })
        .where('id', '=', jobId)
        .where(UNFINISHED)
        .executeTakeFirst();
      return numUpdatedRows > 0n;
    },
    async findUnsettled(kinds, limit) {
      const rows = await database
        .selectFrom('jobs')
        .selectAll()
        .where(UNSETTLED)
        .where('kind', 'in', [...kinds])
        .orderBy('number')
        .limit(limit)
        .execute();
      return rows.map(toJob);
    },
    async settle(jobId) {
      const { numUpdatedRows } = await database
        .updateTable('jobs')
        .set({ settled: 1 })
        .where('id', '=', jobId)
        .where(UNSETTLED)
        .executeTakeFirst();
      return numUpdatedRows > 0n;
    },
    async expireAllLeases(now) {
      const { numUpdatedRows } = await database
        .updateTable('jobs')
        .set({ lease_expires_at: now, updated_at: now })
        .where('state', '=', 'running')
        .where(UNFINISHED)
        .executeTakeFirst();
      return Number(numUpdatedRows);
    },
  };
}

function columnsOf(outcome: JobOutcome, now: number): Updateable<JobsTable> {
  switch (outcome.type) {
    case 'next-stage':
      return {
        state: 'queued',
        stage: outcome.stage,
        priority: outcome.priority,
        progress_done: 0,
        progress_total: 0,
        last_error_json: null,
        run_at: now,
      };
    case 'retry':
      return { state: 'queued', run_at: outcome.runAt, last_error_json: writeJson(outcome.error) };
    case 'handed-back':
      return { state: 'queued', run_at: now };
    case 'failed':
      return { state: 'failed', last_error_json: writeJson(outcome.error), finished_at: now };
    case 'succeeded':
      return { state: 'succeeded', last_error_json: null, finished_at: now, ...progressColumns(outcome.progress) };
    case 'cancelled':
      return { state: 'cancelled', finished_at: now };
  }
}

function progressColumns(progress: Job['progress'] | undefined): Updateable<JobsTable> {
  return progress === undefined ? {} : { progress_done: progress.done, progress_total: progress.total };
}

/** A new stage begins with none; an attempt that the process itself cut short is not counted. */
function attemptsAfter(outcome: JobOutcome) {
  if (outcome.type === 'next-stage') return { attempts: 0 };
  if (outcome.type === 'handed-back') {
    return { attempts: sql<number>`case when attempts > 0 then attempts - 1 else 0 end` };
  }
  return {};
}

function toJobOrNull(row: Selectable<JobsTable> | undefined) {
  return row === undefined ? null : toJob(row);
}
