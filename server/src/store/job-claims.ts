import { type Kysely, type Selectable, type SqlBool, sql, type Updateable } from 'kysely';
import type { Job } from './entities.ts';
import {
  type ClaimableOptions,
  chargeClaim,
  chargeTime,
  findNextJob,
  isDue,
  type Locking,
  type NextJob,
  tidyQueues,
} from './job-queues.ts';
import { toJob, UNFINISHED, UNSETTLED } from './job-rows.ts';
import { writeJson, writeJsonOrNull } from './json-columns.ts';
import type { JobClaims, JobLease, JobOutcome } from './ports.ts';
import type { JobsTable, Schema } from './schema.ts';

/** Rolls a claim back whose job somebody else was quicker to take. */
const LOST_RACE = new Error('The job was taken by another.');

interface NewLease {
  readonly owner: string;
  readonly now: number;
  readonly expiresAt: number;
}

/** The runner's side of jobs, across tenants. */
export function createJobClaims(database: Kysely<Schema>, locking: Locking): JobClaims {
  const held = (lease: JobLease, within: Kysely<Schema> = database) =>
    within
      .updateTable('jobs')
      .where('id', '=', lease.jobId)
      .where('fencing_token', '=', lease.fencingToken)
      .where('state', '=', 'running');

  async function take(within: Kysely<Schema>, next: NextJob, lease: NewLease): Promise<Job> {
    const taken = within
      .updateTable('jobs')
      .set({
        state: 'running',
        attempts: sql`attempts + 1`,
        fencing_token: sql`fencing_token + 1`,
        lease_owner: lease.owner,
        lease_expires_at: lease.expiresAt,
        claimed_at: lease.now,
        updated_at: lease.now,
      })
      .where('id', '=', next.id)
      .where(isDue(lease.now))
      .returningAll()
      .executeTakeFirst();
    // Asked for at once and run in this order.
    const [row] = await Promise.all([taken, chargeClaim(within, next, locking)]);
    if (row === undefined) throw LOST_RACE;
    return toJob(row);
  }

  /** Passes over what others are claiming at the moment, so that claims side by side need not wait for each other. */
  const takeUnheld = (wanted: ClaimableOptions, lease: NewLease): Promise<Job | null> =>
    database.transaction().execute(async (transaction) => {
      const next = await findNextJob(transaction, wanted, 'locked');
      return next === null ? null : take(transaction, next, lease);
    });

  return {
    async claim({ owner, leaseMs, ...wanted }) {
      const lease = { owner, now: wanted.now, expiresAt: wanted.now + leaseMs };
      const unheld = locking.rowLocks ? await takeUnheld(wanted, lease) : null;
      if (unheld !== null) return unheld;
      // Whoever loses the race for a job looks for the next one: somebody else has got on meanwhile.
      for (;;) {
        const next = await findNextJob(database, wanted);
        if (next === null) return null;
        try {
          return await database.transaction().execute((transaction) => take(transaction, next, lease));
        } catch (error) {
          if (error !== LOST_RACE) throw error;
        }
      }
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
    release: (lease, outcome, now) =>
      database.transaction().execute(async (transaction) => {
        // What is charged is told by the row as it is while it is held, so it comes first: asked for at once where that is
        // one statement.
        const charged = chargeTime(transaction, lease, { now, rowLocks: locking.rowLocks });
        if (locking.rowLocks) await charged;
        const [, row] = await Promise.all([
          charged,
          held(lease, transaction)
            .set({
              ...columnsOf(outcome, now),
              ...attemptsAfter(outcome),
              lease_owner: null,
              lease_expires_at: null,
              updated_at: now,
            })
            .returningAll()
            .executeTakeFirst(),
        ]);
        return toJobOrNull(row);
      }),
    async findClaimable(now, limit) {
      const rows = await database
        .selectFrom('jobs')
        .select('jobs.id')
        .where(UNFINISHED)
        .where(isDue(now))
        .limit(limit)
        .execute();
      return rows.map(({ id }) => id);
    },
    async findOverdue(now, limit) {
      const rows = await database
        .selectFrom('jobs')
        .selectAll()
        .where(UNFINISHED)
        .where('deadline_at', '<', now)
        .orderBy('deadline_at')
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
    async countQueued(now) {
      const dueAt = sql<number | null>`min(case when run_at <= ${now} then run_at end)`;
      const rows = await database
        .selectFrom('jobs')
        .select(['kind', 'stage', sql<number>`count(*)`.as('jobs'), dueAt.as('due_since')])
        .where('state', '=', sql.lit('queued'))
        .groupBy(['kind', 'stage'])
        .execute();
      return rows.map(({ kind, stage, jobs, due_since }) => ({
        kind,
        stage,
        jobs: Number(jobs),
        dueSince: due_since === null ? null : Number(due_since),
      }));
    },
    tidyQueues: () => tidyQueues(database, locking),
    async removeEnded(before, limit) {
      const ended = (states: readonly string[], time: number) => sql<SqlBool>`id in (
        select jobs.id from jobs where jobs.state in ('succeeded', 'failed', 'cancelled')
          and jobs.finished_at < ${time} and jobs.state in (${sql.join([...states])}) and not exists (
            select 1 from sources where sources.tenant_id = jobs.tenant_id and sources.id = jobs.source_id
              and sources.job_id = jobs.id
          )
        limit ${limit}
      )`;
      let removed = 0;
      for (const condition of [ended(['succeeded'], before.succeeded), ended(['failed', 'cancelled'], before.failed)]) {
        const { numDeletedRows } = await database.deleteFrom('jobs').where(condition).executeTakeFirst();
        removed += Number(numDeletedRows);
      }
      return removed;
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
        resume_json: null,
        run_at: now,
      };
    case 'retry':
      return { state: 'queued', run_at: outcome.runAt, last_error_json: writeJson(outcome.error) };
    case 'handed-back':
      return { state: 'queued', run_at: now };
    case 'yielded':
      return {
        state: 'queued',
        run_at: now,
        last_error_json: null,
        resume_json: writeJsonOrNull(outcome.resume ?? null),
      };
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
  if (outcome.type === 'next-stage' || outcome.type === 'yielded') return { attempts: 0 };
  if (outcome.type === 'handed-back') {
    return { attempts: sql<number>`case when attempts > 0 then attempts - 1 else 0 end` };
  }
  return {};
}

function toJobOrNull(row: Selectable<JobsTable> | undefined) {
  return row === undefined ? null : toJob(row);
}
