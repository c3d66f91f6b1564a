import { z } from 'zod';
import { jsonObject, toolName } from './tools.ts';

/** The form that the model is to give its answer. */
export const responseFormat = z
  .discriminatedUnion('type', [
    z.strictObject({ type: z.literal('text') }),
    z.strictObject({ type: z.literal('json_object') }),
    z.strictObject({
      type: z.literal('json_schema'),
      json_schema: z.strictObject({
        name: toolName,
        description: z.string().max(10_000).nullish(),
        schema: jsonObject.nullish(),
        strict: z.boolean().nullish(),
      }),
    }),
  ])
  .nullish()
  .describe('What the model writes; a refusal of this server, and a quote from the content, is text all the same.');
