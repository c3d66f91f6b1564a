import { z } from 'zod';
import { chunkingStrategy } from './chunking.ts';
import { failure, line, unixSeconds } from './text.ts';

const policy = z
  .enum(['when_ready', 'if_not_worse', 'manual'])
  .describe('`if_not_worse`: it takes over by itself unless the comparison is clearly worse.');

export const newGeneration = z.strictObject({
  embedding_model: line(200).optional().describe('`provider/model`, like local/use-lite; left out: as it is now.'),
  dimensions: z.number().int().min(1).max(4096).optional().describe('Checked by one call before anything is built.'),
  chunking_strategy: chunkingStrategy.optional(),
  activate: policy.optional(),
});

export type NewGenerationBody = z.infer<typeof newGeneration>;

export const wireGeneration = z
  .strictObject({
    id: z.string(),
    object: z.literal('generation'),
    bot_id: z.string(),
    state: z.enum(['building', 'ready', 'active', 'retired', 'failed', 'cancelled', 'removing']),
    state_since: unixSeconds,
    embedding_model: z.string(),
    embedder_version: z.string(),
    dimensions: z.number().int(),
    chunking_strategy: chunkingStrategy,
    chunking_signature: z.string(),
    origin: z.enum(['server', 'bot']).describe("`server`: follows the server's settings."),
    activate: policy,
    progress: z.strictObject({ done: z.number().int(), total: z.number().int() }).describe('Chunks with vectors.'),
    comparison: z
      .strictObject({
        basis: z.enum(['golden', 'sampled', 'none']),
        queries: z.number().int(),
        overlap_at_10: z.number().nullable(),
        ndcg_old: z.number().nullable(),
        ndcg_new: z.number().nullable(),
        won: z.number().int(),
        lost: z.number().int(),
        verdict: z.enum(['better', 'same', 'worse', 'unknown']),
        compared_at: unixSeconds,
      })
      .nullable(),
    last_error: failure.nullable(),
    job_id: z.string().nullable(),
    created_at: unixSeconds,
    updated_at: unixSeconds,
  })
  .meta({ id: 'Generation' });

export type WireGeneration = z.infer<typeof wireGeneration>;

export const newGoldenQuestion = z
  .strictObject({
    question: line(8000),
    expected_external_keys: z.array(line(1000)).min(1).max(50).optional(),
    expected_source_ids: z.array(line(100)).min(1).max(50).optional(),
    expected_text: line(8000).optional().describe('A passage that must be found.'),
  })
  .refine((body) => (body.expected_external_keys ?? body.expected_source_ids ?? body.expected_text) !== undefined, {
    error: 'Say what must be found: expected_external_keys, expected_source_ids or expected_text.',
  });

export type NewGoldenQuestionBody = z.infer<typeof newGoldenQuestion>;

export const wireGoldenQuestion = z
  .strictObject({
    id: z.string(),
    object: z.literal('golden_question'),
    question: z.string(),
    expected_external_keys: z.array(z.string()).readonly(),
    expected_source_ids: z.array(z.string()).readonly(),
    expected_text: z.string().nullable(),
    created_at: unixSeconds,
  })
  .meta({ id: 'GoldenQuestion' });

export type WireGoldenQuestion = z.infer<typeof wireGoldenQuestion>;
