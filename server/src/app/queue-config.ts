import { z } from 'zod';

/** Who tells processes that a job is ready. */
export type QueueKind = 'memory' | 'bullmq';

/** The settings of the queue, for the schema of the environment. */
export const queueEnvironment = {
  QUEUE: z.enum(['auto', 'memory', 'bullmq'], { error: 'must be auto, memory or bullmq' }).default('auto'),
};

interface QueueEnvironment {
  readonly QUEUE: 'auto' | QueueKind;
  readonly REDIS_URL?: string | undefined;
}

/** `auto`: BullMQ where there is a Redis, else memory. */
export function queueOf({ QUEUE, REDIS_URL }: QueueEnvironment): QueueKind {
  if (QUEUE !== 'auto') return QUEUE;
  return REDIS_URL === undefined ? 'memory' : 'bullmq';
}

/** What of the settings of the queue does not go together. */
export function queueFaults({ QUEUE, REDIS_URL }: QueueEnvironment): readonly string[] {
  return QUEUE === 'bullmq' && REDIS_URL === undefined ? ['QUEUE=bullmq needs a Redis: set REDIS_URL'] : [];
}
