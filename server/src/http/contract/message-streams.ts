import { z } from 'zod';
import { line } from './text.ts';

const eventNumber = z.coerce.number().int().min(0).max(Number.MAX_SAFE_INTEGER);

export const messageStreamQuery = z.strictObject({
  after: eventNumber
    .optional()
    .describe('The `id` of the last event that you have; `Last-Event-ID` counts when it is higher. Without: all.'),
  format: z
    .enum(['openai', 'ui'])
    .optional()
    .describe('`openai`: chat completion chunks, the default; `ui`: the Vercel AI SDK’s UI message stream.'),
  include_usage: z.enum(['true', 'false']).optional().describe('As `stream_options.include_usage`.'),
  user: line(256).optional().describe('The `user` of the conversation, when it has one.'),
});

export type MessageStreamQuery = z.infer<typeof messageStreamQuery>;

export const messageStop = z.strictObject({
  user: line(256).nullish().describe('The `user` of the conversation, when it has one.'),
});

export const wireStoppedMessage = z
  .strictObject({
    id: z.string(),
    object: z.literal('message.stopped'),
    stopped: z.boolean().describe('False: the answer had already ended.'),
  })
  .meta({ id: 'StoppedMessage' });
