import { type Kysely, type RawBuilder, sql } from 'kysely';
import type { Job } from './entities.ts';
import { queueOf, UNFINISHED } from './job-rows.ts';
import type { JobLease } from './ports.ts';
import type { Schema } from './schema.ts';
import type { TenantScope } from './tenant-scope.ts';

/** What a point of priority is worth in milliseconds of waiting. */
const AGEING_MS = 6_000;
/** What a claim costs its queues at once, in milliseconds: claims made side by side go round. The rest follows its end. */
const CLAIM_MS = 50;
/** How far a queue may lag behind the most served one: the time that who was idle is served first. */
const CREDIT_MS = 2_000;

/** The queue of a tenant as a whole. */
const WHOLE = '';

export interface ClaimableOptions {
  readonly kinds: readonly string[];
  readonly now: number;
  readonly maxPriority: number | null;
}

export type NextJob = Pick<Job, 'id' | 'tenantId' | 'botId'>;

/** Queued with `run_at` reached, or running with an expired lease. */
export function isDue(now: number) {
  return sql<boolean>`((state = 'queued' and run_at <= ${now}) or (state = 'running' and lease_expires_at <= ${now}))`;
}

/** In the order in which everybody locks them, so that writers side by side wait for each other and never in a circle. */
export interface Locking {
  /** `select ... for update` exists and is needed; see `SqlDialect`. */
  readonly rowLocks: boolean;
}

/**
 * The job that is to be claimed next; see `JobClaims`. Whoever has been served least is found in the order of an index,
 * and each priority of a queue is looked into at its head alone, so that the length of queues does not matter. `locked`:
 * the heads that are looked at are held until the transaction ends, and those that others hold are passed over.
 */
export async function findNextJob(
  database: Kysely<Schema>,
  { kinds, now, maxPriority }: ClaimableOptions,
  heads: 'any' | 'locked' = 'any',
): Promise<NextJob | null> {
  const locked = heads === 'locked' ? sql`for update skip locked` : sql``;
  const most = maxPriority ?? Number.MAX_SAFE_INTEGER;
  const claimable = sql`${UNFINISHED} and priority <= ${most} and ${isDue(now)} and kind in (${sql.join([...kinds])})`;
  const { rows } = await sql<NextJob>`select jobs.id, jobs.tenant_id as "tenantId", jobs.bot_id as "botId" from (
    with recursive tenant as (
      select queues.tenant_id from job_queues as queues
      where queues.queue = '' and exists (
        select 1 from jobs where jobs.tenant_id = queues.tenant_id and ${claimable}
      )
      order by queues.served, queues.tenant_id limit 1
    ), chosen_queue as (
      select queues.tenant_id, queues.queue from job_queues as queues
      where queues.tenant_id = (select tenant.tenant_id from tenant) and queues.queue <> '' and exists (
        select 1 from jobs
        where jobs.tenant_id = queues.tenant_id and jobs.queue = queues.queue and ${claimable}
      )
      order by queues.served, queues.queue limit 1
    ), levels (level) as (
      select (${inChosen(sql`jobs.priority`, sql`priority <= ${most}`)} order by jobs.priority limit 1)
      union all
      select (
        ${inChosen(sql`jobs.priority`, sql`priority > levels.level and priority <= ${most}`)}
        order by jobs.priority limit 1
      ) from levels where levels.level is not null
    )
    select (
      ${inChosen(sql`jobs.id`, sql`priority = levels.level and ${claimable}`)}
      order by jobs.run_at, jobs.number limit 1 ${locked}
    ) as id from levels where levels.level is not null
  ) as chosen join jobs on jobs.id = chosen.id
  order by jobs.run_at + jobs.priority * ${sql.lit(AGEING_MS)}, jobs.number limit 1`.execute(database);
  return rows[0] ?? null;
}

/** From the unfinished jobs of the queue that was chosen. */
function inChosen(column: RawBuilder<unknown>, condition: RawBuilder<unknown>): RawBuilder<unknown> {
  return sql`select ${column} from jobs where jobs.tenant_id = (select tenant.tenant_id from tenant)
    and jobs.queue = (select chosen_queue.queue from chosen_queue) and ${UNFINISHED} and ${condition}`;
}

/** Makes sure that the job's queues are there; a new one begins as one that was served little. */
export async function openQueues(scope: TenantScope, job: Pick<Job, 'botId'>): Promise<void> {
  const rows = [WHOLE, queueOf(job)].map((queue) => ({
    queue,
    served: leastServed(scope.tenantId, queue) as unknown as number,
  }));
  for (;;) {
    await scope
      .insert('job_queues', rows)
      .onConflict((conflict) => conflict.doNothing())
      .execute();
    if (!scope.dialect.rowLocks || (await holdQueues(scope, rows))) return;
  }
}

/** Keeps them from being removed as empty before the job is there for all to see. False: one of them was removed just now. */
async function holdQueues(scope: TenantScope, rows: readonly { readonly queue: string }[]): Promise<boolean> {
  const queues = rows.map(({ queue }) => queue);
  const held = await scope
    .select('job_queues')
    .select('job_queues.queue')
    .where('job_queues.queue', 'in', queues)
    .forKeyShare()
    .execute();
  return held.length === queues.length;
}

type Owner = Pick<Job, 'tenantId' | 'botId'>;

/** Books a claim on its queues. */
export async function chargeClaim(
  database: Kysely<Schema>,
  { tenantId, ...job }: Owner,
  { rowLocks }: Locking,
): Promise<void> {
  const queue = queueOf(job);
  if (rowLocks) {
    await sql`select 1 from job_queues where tenant_id = ${tenantId} and queue in (${sql.lit(WHOLE)}, ${queue})
      order by queue for no key update`.execute(database);
  }
  const least = sql`case when queue = ${sql.lit(WHOLE)} then ${leastServed(tenantId, WHOLE)} else ${leastServed(tenantId, queue)} end`;
  await sql`update job_queues
    set served = case when served < ${least} then ${least} else served end + ${sql.lit(CLAIM_MS)}
    where tenant_id = ${tenantId} and queue in (${sql.lit(WHOLE)}, ${queue})`.execute(database);
}

/** Books on its queues the time that a claim has taken until now, of which a part was booked when it began. */
export async function chargeTime(
  database: Kysely<Schema>,
  { jobId, fencingToken }: JobLease,
  { now, rowLocks }: Locking & { readonly now: number },
): Promise<void> {
  if (rowLocks) {
    await sql`select 1 from jobs where jobs.id = ${jobId} for update`.execute(database);
    await sql`select 1 from job_queues where (tenant_id, queue) in (
        select jobs.tenant_id, ${sql.lit(WHOLE)} from jobs where jobs.id = ${jobId}
        union all select jobs.tenant_id, jobs.queue from jobs where jobs.id = ${jobId}
      ) order by queue for no key update`.execute(database);
  }
  const held = sql`from jobs where jobs.id = ${jobId} and jobs.fencing_token = ${fencingToken}
    and jobs.state = 'running' and jobs.claimed_at is not null`;
  const taken = sql<number>`(select case when jobs.claimed_at < ${now} then ${now} - jobs.claimed_at else 0 end ${held})`;
  await sql`update job_queues set served = served + ${taken} - ${sql.lit(CLAIM_MS)}
    where (tenant_id, queue) in (
      select jobs.tenant_id, ${sql.lit(WHOLE)} ${held} union all select jobs.tenant_id, jobs.queue ${held}
    )`.execute(database);
}

/** Removes queues without unfinished jobs, and makes those that a race with this has lost. */
export function tidyQueues(database: Kysely<Schema>, locking: Locking): Promise<void> {
  return database.transaction().execute((transaction) => tidyWithin(transaction, locking));
}

async function tidyWithin(database: Kysely<Schema>, { rowLocks }: Locking): Promise<void> {
  const isEmpty = sql<boolean>`not exists (
    select 1 from jobs where jobs.tenant_id = job_queues.tenant_id and ${UNFINISHED}
      and (job_queues.queue = '' or jobs.queue = job_queues.queue)
  )`;
  // Where others write meanwhile, those that a new job holds are left alone; that it is there is seen by a later statement.
  if (rowLocks) {
    const { rows } = await sql<{ readonly tenant_id: string; readonly queue: string }>`
      select tenant_id, queue from job_queues where ${isEmpty}
      order by tenant_id, queue for update skip locked`.execute(database);
    for (const { tenant_id, queue } of rows) {
      await sql`delete from job_queues where tenant_id = ${tenant_id} and queue = ${queue} and ${isEmpty}`.execute(
        database,
      );
    }
  } else await sql`delete from job_queues where ${isEmpty}`.execute(database);
  for (const queue of [sql.ref('jobs.queue'), sql.lit(WHOLE)]) {
    await sql`insert into job_queues (tenant_id, queue, served)
      select distinct jobs.tenant_id, ${queue}, 0 from jobs where ${UNFINISHED} order by 1, 2
      on conflict do nothing`.execute(database);
  }
}

/** Least time that a queue counts as served with, next to the one that was served most. */
function leastServed(tenantId: string, queue: string): RawBuilder<number> {
  const others = queue === WHOLE ? sql`most.queue = ''` : sql`most.tenant_id = ${tenantId} and most.queue <> ''`;
  return sql<number>`(select coalesce(max(most.served), ${sql.lit(CREDIT_MS)}) - ${sql.lit(CREDIT_MS)} from job_queues as most where ${others})`;
}
