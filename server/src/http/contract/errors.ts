import { z } from 'zod';
import { ERROR_CODES } from '../../kernel/index.ts';
import { wireUsage } from './chat-completions.ts';

/** OpenAI's names for the kinds of errors; its SDKs turn them, with the status, into their error classes. */
export const ERROR_TYPES = [
  'invalid_request_error',
  'authentication_error',
  'permission_error',
  'rate_limit_error',
  'insufficient_quota',
  'server_error',
] as const;

export const wireError = z
  .strictObject({
    error: z.strictObject({
      message: z.string().describe('What happened and what to do.'),
      type: z.enum(ERROR_TYPES),
      param: z.string().nullable().describe('The field at fault, such as `messages[0].content`.'),
      code: z.enum(ERROR_CODES).describe('Stable: one for each cause.'),
      request_id: z.string(),
      retryable: z.boolean().describe('Whether the same request may succeed later.'),
      doc_url: z.string(),
      resume: z
        .strictObject({
          message: z.string(),
          after: z.number().int().describe('The `id` of the last event before the failure.'),
        })
        .optional()
        .describe('In streams: what `GET /v1/messages/{id}/stream?after=N` takes for the rest.'),
    }),
    usage: wireUsage
      .optional()
      .describe('In streams that were asked for it with `include_usage`: what was used until the answer broke off.'),
  })
  .meta({ id: 'Error' });

export type WireError = z.infer<typeof wireError>;
