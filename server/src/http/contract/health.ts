import { z } from 'zod';

export const wireHealth = z.strictObject({ status: z.literal('ok') });
export const wireReady = z.strictObject({
  status: z.literal('ready'),
  workers_alive: z.number().int().describe('Processes that run jobs. With none, what is handed in waits.'),
  redis: z
    .enum(['up', 'away'])
    .optional()
    .describe('With `REDIS_URL`: whether it answers. While it is away, each process goes on with its own memory.'),
});
