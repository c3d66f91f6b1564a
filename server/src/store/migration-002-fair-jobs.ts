import { type Kysely, sql } from 'kysely';
import type { Schema } from './schema.ts';

/** Queues that tenants and bots share places by, indexes for claims at any length of the queue, and workers' signs of life. */
export async function addFairJobs(database: Kysely<Schema>): Promise<void> {
  const run = (statement: string) => sql.raw(statement).execute(database);
  await run("alter table jobs add column queue text not null default '-'");
  await run('alter table jobs add column claimed_at bigint');
  await run('alter table jobs add column resume_json text');
  await run("update jobs set queue = coalesce(bot_id, '-')");
  await run('drop index jobs_unfinished');
  const unfinished = "where state in ('queued', 'running')";
  await run(`create index jobs_due_of_tenant on jobs (tenant_id, priority, run_at, number) ${unfinished}`);
  await run(`create index jobs_due_of_queue on jobs (tenant_id, queue, priority, run_at, number) ${unfinished}`);
  await run(`create index jobs_by_deadline on jobs (deadline_at) ${unfinished}`);
  await run("create index jobs_waiting on jobs (kind, stage, run_at) where state = 'queued'");
  await run("create index jobs_failed on jobs (tenant_id, number) where state = 'failed'");
  await run("create index jobs_ended on jobs (finished_at) where state in ('succeeded', 'failed', 'cancelled')");

  await database.schema
    .createTable('job_queues')
    .addColumn('tenant_id', 'text', (column) => column.notNull())
    .addColumn('queue', 'text', (column) => column.notNull())
    .addColumn('served', 'bigint', (column) => column.notNull())
    .addPrimaryKeyConstraint('job_queues_key', ['tenant_id', 'queue'])
    .addForeignKeyConstraint('job_queues_tenant', ['tenant_id'], 'tenants', ['id'], (key) => key.onDelete('cascade'))
    .execute();
  await run("create index job_queues_by_served on job_queues (served, tenant_id) where queue = ''");
  await run(`insert into job_queues select distinct tenant_id, queue, 0 from jobs ${unfinished}`);
  await run(`insert into job_queues select distinct tenant_id, '', 0 from jobs ${unfinished}`);

  await database.schema
    .createTable('workers')
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('host', 'text', (column) => column.notNull())
    .addColumn('pid', 'bigint', (column) => column.notNull())
    .addColumn('places', 'bigint', (column) => column.notNull())
    .addColumn('running', 'bigint', (column) => column.notNull())
    .addColumn('started_at', 'bigint', (column) => column.notNull())
    .addColumn('seen_at', 'bigint', (column) => column.notNull())
    .execute();
}
