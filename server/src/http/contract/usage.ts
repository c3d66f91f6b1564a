import { z } from 'zod';
import { listQuery } from './pages.ts';
import { line, unixSeconds } from './text.ts';

const DIMENSIONS = ['tenant', 'bot', 'key', 'user', 'model', 'day'] as const;
const dimension = z.enum(DIMENSIONS, { error: `Group by ${DIMENSIONS.join(', ')}, or several of them.` });

/** `a,b`, or the parameter several times. */
const dimensions = z
  .union([z.string(), z.array(z.string())])
  .transform((given) =>
    [given]
      .flat()
      .flatMap((part) => part.split(','))
      .map((part) => part.trim())
      .filter((part) => part !== ''),
  )
  .pipe(z.array(dimension).max(DIMENSIONS.length))
  .refine((names) => new Set(names).size === names.length, { error: 'Name each only once.' });

const seconds = z.coerce.number().int().min(0).max(253_402_300_799);

const filters = {
  start: seconds.optional().describe('Unix seconds, this one included.'),
  end: seconds.optional().describe('Unix seconds, this one not included.'),
  bot: line(200).optional().describe('A bot id or slug.'),
  key: line(200).optional().describe('An API key id.'),
  user: line(256).optional().describe('The `user` that was sent with the requests.'),
  model: line(200).optional().describe('`provider/model`.'),
  outcome: z.enum(['ok', 'failed', 'cancelled']).optional(),
  kind: z.enum(['chat', 'summary', 'embedding']).optional(),
};

const inOrder = {
  check: (query: { readonly start?: number | undefined; readonly end?: number | undefined }) =>
    query.start === undefined || query.end === undefined || query.start <= query.end,
  fault: { error: '`end` must not lie before `start`.', path: ['end'] },
};

const groupCursor = z
  .string()
  .max(4000)
  .regex(/^usg_[\w-]+$/, { error: 'A cursor is the id of a group of this list.' })
  .optional();

export const usageQuery = z
  .strictObject({
    group_by: dimensions
      .optional()
      .describe('`tenant`, `bot`, `key`, `user`, `model`, `day` (UTC): one or several, with commas.'),
    ...filters,
    limit: z.coerce.number().int().min(1).max(100).default(20).describe('How many groups to return.'),
    order: z.enum(['asc', 'desc']).default('desc').describe('By the names of the groups.'),
    after: groupCursor,
    before: groupCursor,
  })
  .refine(inOrder.check, inOrder.fault);

export type UsageQueryString = z.infer<typeof usageQuery>;

export const usageCallsQuery = listQuery('req').extend(filters).refine(inOrder.check, inOrder.fault);

const amounts = {
  requests: z.number().int().describe('Requests that asked a model, or were answered from a cache.'),
  calls: z
    .number()
    .int()
    .describe('Upstream calls: retries, fallbacks, summaries and remote embeddings are calls, too.'),
  failed_calls: z.number().int(),
  cached_answers: z.number().int().describe('Requests that a cache answered.'),
  input_tokens: z.number().int(),
  cached_input_tokens: z.number().int().describe('Of the input tokens: what the provider had in its cache.'),
  output_tokens: z.number().int(),
  total_tokens: z.number().int(),
  cost_usd: z.number().nullable().describe('Of the calls that have a price; null: none has.'),
  unpriced_calls: z.number().int().describe('Calls of models that have no price: not in `cost_usd`.'),
};

export const wireUsageGroup = z
  .strictObject({
    id: z.string().describe('A cursor.'),
    object: z.literal('usage.group'),
    tenant: z.string().optional(),
    bot: z.string().nullable().optional(),
    key: z.string().nullable().optional().describe('null: the admin key.'),
    user: z.string().nullable().optional(),
    model: z.string().optional(),
    day: z.string().optional().describe('YYYY-MM-DD, UTC.'),
    ...amounts,
  })
  .meta({ id: 'UsageGroup' });

export const wireUsage = z
  .strictObject({
    object: z.literal('list'),
    group_by: z.array(dimension).readonly(),
    start: unixSeconds.nullable(),
    end: unixSeconds.nullable(),
    data: z.array(wireUsageGroup).readonly().describe('Empty without `group_by`.'),
    first_id: z.string().nullable(),
    last_id: z.string().nullable(),
    has_more: z.boolean(),
    total: z.strictObject(amounts).describe('Of all that the filters let through, whatever page is shown.'),
  })
  .meta({ id: 'Usage' });

const unitPrices = {
  unit: z.literal('USD per million tokens'),
  input: z.number(),
  cached_input: z.number().nullable(),
  cache_write: z.number().nullable(),
  output: z.number().nullable(),
};

export const wireUsageCall = z
  .strictObject({
    id: z.string(),
    object: z.literal('usage.call'),
    bot: z.string().nullable(),
    key: z.string().nullable(),
    user: z.string().nullable(),
    conversation: z.string().nullable(),
    message: z.string().nullable().describe('The answer that the call was made for.'),
    kind: z.enum(['chat', 'summary', 'embedding']),
    provider: z.string(),
    model: z.string(),
    prompt_version: z.string().nullable().describe('The version of the prompt that was sent.'),
    key_fingerprint: z.string().nullable().describe("Which of the provider's keys was used."),
    outcome: z.enum(['ok', 'failed', 'cancelled']),
    error_code: z.string().nullable(),
    cache: z.enum(['exact', 'semantic']).nullable().describe('Answered from a cache, without a call.'),
    calls: z.number().int(),
    requests: z.number().int().describe('1 on one row of each request.'),
    input_tokens: z.number().int(),
    cached_input_tokens: z.number().int(),
    output_tokens: z.number().int(),
    usage_source: z.enum(['provider', 'counted']),
    cost_usd: z.number().nullable(),
    price: z
      .strictObject({ id: z.string(), as_of: z.string(), source: z.string(), ...unitPrices })
      .nullable()
      .describe('As it was when the call was charged.'),
    first_token_ms: z.number().int().nullable(),
    duration_ms: z.number().int(),
    created_at: unixSeconds,
  })
  .meta({ id: 'UsageCall' });

export const wirePrice = z
  .strictObject({
    id: z.string().describe('Other figures have another id.'),
    object: z.literal('price'),
    model: z.string().describe('`provider/model`, or `provider/*`.'),
    aliases: z.array(z.string()).readonly(),
    kind: z.enum(['chat', 'embedding']),
    ...unitPrices,
    as_of: z.string().describe('The day for which the source was read.'),
    source: z.string(),
    origin: z.enum(['built-in', 'file']),
  })
  .meta({ id: 'Price' });

export const wirePrices = z.strictObject({ object: z.literal('list'), data: z.array(wirePrice).readonly() });

export type WireUsageReport = z.infer<typeof wireUsage>;
export type WireUsageGroup = z.infer<typeof wireUsageGroup>;
export type WireUsageCall = z.infer<typeof wireUsageCall>;
export type WirePrice = z.infer<typeof wirePrice>;
