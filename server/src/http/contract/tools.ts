import { z } from 'zod';

const LARGEST_SCHEMA_CHARACTERS = 100_000;

/** Of a tool or a schema. */
export const toolName = z.string().regex(/^[a-zA-Z0-9_-]{1,64}$/, 'A name has 1 to 64 letters, digits, _ or -.');
/** Not `z.json()`: OpenAPI would get a reference to its recursive schema that leads nowhere. What is checked here was parsed as JSON. */
const anyJson = z.unknown() as z.ZodType<z.infer<ReturnType<typeof z.json>>>;

/** A schema. */
export const jsonObject = z
  .record(z.string(), anyJson)
  .refine((value) => JSON.stringify(value).length <= LARGEST_SCHEMA_CHARACTERS, 'The schema is too large.');

export const tools = z
  .array(
    z.strictObject({
      type: z.literal('function', { error: 'Tools are functions that the client runs: send type "function".' }),
      function: z.strictObject({
        name: toolName,
        description: z.string().max(10_000).nullish(),
        parameters: jsonObject.nullish(),
        strict: z.boolean().nullish(),
      }),
    }),
  )
  .max(128)
  .nullish();

export const toolChoice = z
  .union([
    z.enum(['auto', 'none', 'required']),
    z.strictObject({ type: z.literal('function'), function: z.strictObject({ name: toolName }) }),
  ])
  .nullish();

/** Calls in an assistant message that is sent back. */
export const sentToolCalls = z
  .array(
    z.strictObject({
      id: z.string().min(1).max(256),
      type: z.literal('function').optional(),
      index: z.number().optional(),
      function: z.strictObject({ name: toolName, arguments: z.string().max(200_000) }),
    }),
  )
  .max(128)
  .nullish();
