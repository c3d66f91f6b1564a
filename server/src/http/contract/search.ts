import { z } from 'zod';
import { hybridWeights } from './bots.ts';
import { chatMessages } from './chat-messages.ts';

const key = z.string().min(1).max(64);
const scalar = z.union([z.string().max(2000), z.number(), z.boolean()], {
  error: 'Compare with a string, a number or a boolean.',
});

const comparison = z.strictObject({
  type: z.enum(['eq', 'ne', 'gt', 'gte', 'lt', 'lte']),
  key,
  value: scalar,
});

const membership = z.strictObject({
  type: z.enum(['in', 'nin']),
  key,
  value: z
    .array(z.union([z.string().max(2000), z.number()]))
    .min(1)
    .max(100),
});

const compound = z
  .strictObject({
    type: z.enum(['and', 'or']),
    get filters(): z.ZodArray<z.ZodUnion<readonly [typeof comparison, typeof membership, typeof compound]>> {
      return z
        .array(z.union([comparison, membership, compound]))
        .min(1)
        .max(50);
    },
  })
  .meta({ id: 'CompoundFilter' });

export type WireFilter = z.infer<typeof comparison> | z.infer<typeof membership> | WireCompoundFilter;
interface WireCompoundFilter {
  type: 'and' | 'or';
  filters: WireFilter[];
}

const MAX_FILTER_NODES = 200;

/** OpenAI's filters over metadata and the built-in keys `type`, `title`, `url`, `external_key`. */
export const metadataFilter = z
  .union([comparison, membership, compound], {
    error:
      'A filter is {type: "eq"|"ne"|"gt"|"gte"|"lt"|"lte", key, value}, {type: "in"|"nin", key, value: [...]} or {type: "and"|"or", filters: [...]}.',
  })
  .refine((filter) => countNodes(filter) <= MAX_FILTER_NODES, {
    error: `A filter may have at most ${MAX_FILTER_NODES} parts.`,
  })
  .meta({ id: 'Filter' });

export const searchBody = z.strictObject({
  query: z.string().min(1).max(8000),
  max_num_results: z.number().int().min(1).max(50).optional(),
  filters: metadataFilter.optional(),
  ranking_options: z
    .strictObject({
      ranker: z.string().max(64).optional().describe('Accepted for compatibility; there is one ranker.'),
      score_threshold: z.number().min(0).max(1).optional(),
      hybrid: hybridWeights.optional(),
    })
    .optional(),
  passages: z
    .strictObject({ max_characters: z.number().int().min(200).max(200_000) })
    .optional()
    .describe(
      'Instead of whole chunks, the passages that are worth reading: sentences, lines and tables round what matches, at most so many characters in all.',
    ),
  rewrite_query: z
    .boolean()
    .optional()
    .describe('Accepted for compatibility; entities of `messages` are always carried over.'),
  messages: chatMessages.optional().describe('The turns before the query, oldest first.'),
});

export type SearchBody = z.infer<typeof searchBody>;

export const wireSearchHit = z
  .strictObject({
    source_id: z.string(),
    document_id: z.string(),
    chunk_id: z.string(),
    external_key: z.string().nullable(),
    title: z.string(),
    url: z.string().nullable(),
    heading_path: z.array(z.string()).readonly(),
    page: z.number().int().nullable(),
    start: z.number().int(),
    end: z.number().int(),
    text: z.string(),
    score: z.number(),
    scores: z.strictObject({ dense: z.number().nullable(), lexical: z.number().nullable() }),
  })
  .meta({ id: 'SearchHit' });

export const wireSearchResults = z
  .strictObject({
    object: z.literal('search_results.page'),
    search_query: z.string(),
    data: z.array(wireSearchHit).readonly(),
    degraded: z.array(z.string()).readonly().describe('`lexical_search`: meaning could not be searched, only words.'),
  })
  .meta({ id: 'SearchResults' });

export type WireSearchHit = z.infer<typeof wireSearchHit>;

function countNodes(filter: WireFilter): number {
  return 'filters' in filter ? filter.filters.reduce((sum, part) => sum + countNodes(part), 1) : 1;
}
