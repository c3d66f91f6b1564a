import { z } from 'zod';
import { failure, unixSeconds } from './text.ts';

export const wireJob = z
  .strictObject({
    id: z.string(),
    object: z.literal('job'),
    kind: z.string(),
    status: z.enum(['queued', 'running', 'succeeded', 'failed', 'cancelled']),
    stage: z.string(),
    progress: z.strictObject({ done: z.number(), total: z.number() }),
    attempts: z.number().int(),
    max_attempts: z.number().int(),
    cancel_requested: z.boolean(),
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
