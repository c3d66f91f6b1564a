import { z } from 'zod';
import { listQuery } from './pages.ts';
import { failure, line, unixSeconds } from './text.ts';

const status = z.enum(['queued', 'running', 'succeeded', 'failed', 'cancelled']);

export const jobQuery = listQuery('job').extend({
  state: status.optional(),
  kind: line(64).optional(),
  bot: line(200).optional().describe('A bot id or slug.'),
  source: line(200).optional().describe('A source id.'),
});

export const retryJobsBody = z.strictObject({
  state: z.enum(['failed', 'cancelled']).describe('Which jobs to run again.'),
  bot: line(200).optional().describe('A bot id or slug; without it, of every bot.'),
  code: line(64).optional().describe('Only jobs whose last error has this code.'),
});

export const wireRetriedJobs = z.strictObject({
  object: z.literal('job.retries'),
  retried: z.number().int().describe('Jobs that are queued again.'),
  skipped: z.number().int().describe('Jobs that cannot be run again: their source is gone or has a newer job.'),
  has_more: z.boolean().describe('Whether more than 1,000 jobs were asked for: ask again.'),
});

export const wireWorkers = z.strictObject({
  object: z.literal('list'),
  data: z
    .array(
      z
        .strictObject({
          id: z.string(),
          object: z.literal('worker'),
          host: z.string(),
          pid: z.number().int(),
          alive: z.boolean().describe('Whether it gave a sign of life lately.'),
          places: z.number().int().describe('How many stages it runs at once, at most.'),
          running: z.number().int(),
          started_at: unixSeconds,
          seen_at: unixSeconds,
        })
        .meta({ id: 'Worker' }),
    )
    .readonly(),
  waiting: z
    .strictObject({ jobs: z.number().int(), oldest_seconds: z.number() })
    .describe('Jobs that could run and do not yet, over all tenants.'),
});

export type WireWorkers = z.infer<typeof wireWorkers>;

export const wireJob = z
  .strictObject({
    id: z.string(),
    object: z.literal('job'),
    kind: z.string(),
    status,
    stage: z.string(),
    progress: z.strictObject({ done: z.number(), total: z.number() }),
    attempts: z.number().int(),
    max_attempts: z.number().int(),
    cancel_requested: z.boolean(),
    waiting_for: z
      .strictObject({ reason: z.enum(['worker', 'retry', 'turn']), message: z.string() })
      .nullable()
      .describe(
        'Why a queued job does not run: no worker is there, it is put off after an error, or others are first.',
      ),
    last_error: failure.nullable(),
    bot_id: z.string().nullable(),
    source_id: z.string().nullable(),
    created_at: unixSeconds,
    updated_at: unixSeconds,
    finished_at: unixSeconds.nullable(),
    deadline_at: unixSeconds,
  })
  .meta({ id: 'Job' });

export type WireJob = z.infer<typeof wireJob>;
