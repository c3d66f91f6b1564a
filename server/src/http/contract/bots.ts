import { z } from 'zod';
import { botModels } from './bot-models.ts';
import { chunkingStrategy } from './chunking.ts';
import { promptChange, promptSetting } from './prompts.ts';
import { line, metadata, slug, storedMetadata, unixSeconds } from './text.ts';

const weight = z.number().min(0).max(1);

export const hybridWeights = z
  .strictObject({ embedding_weight: weight, text_weight: weight })
  .refine((weights) => weights.embedding_weight + weights.text_weight > 0, {
    error: 'At least one of the two weights must be above 0.',
  })
  .describe('How much meaning and words count in the score.');

export const retrievalSettings = z.strictObject({
  max_num_results: z.number().int().min(1).max(50).optional(),
  max_context_tokens: z.number().int().min(100).max(100_000).optional(),
  score_threshold: z.number().min(0).max(1).optional(),
  hybrid: hybridWeights.optional(),
});

const botFields = {
  instructions: z.string().max(20_000).nullable().optional().describe('What the bot is told about its task and tone.'),
  model: line(200).nullable().optional().describe("`provider/model`; null: the server's default."),
  models: botModels
    .nullable()
    .optional()
    .describe("All models that may answer, in their order; null: `model`, then the server's fallbacks."),
  temperature: z.number().min(0).max(2).nullable().optional(),
  max_output_tokens: z.number().int().min(1).max(32_768).nullable().optional(),
  refusal_message: line(2000).nullable().optional().describe('What is said when the content has no answer.'),
  retrieval: retrievalSettings.optional(),
  privacy: z.strictObject({ pii: z.enum(['off', 'mask', 'vault']) }).optional(),
  metadata: metadata.optional(),
  prompt: promptChange.nullable().optional().describe("The template of its prompts. null: the server's default."),
  chunking_strategy: chunkingStrategy
    .nullable()
    .optional()
    .describe('How sources that are trained from now on are cut, unless they say it themselves. null: auto.'),
};

export const newBot = z.strictObject({
  name: line(200),
  slug: slug.optional().describe('Derived from the name when left out.'),
  ...botFields,
});

export const botChanges = z.strictObject({ name: line(200).optional(), slug: slug.optional(), ...botFields });

export type NewBotBody = z.infer<typeof newBot>;
export type BotChangesBody = z.infer<typeof botChanges>;

export const wireBot = z
  .strictObject({
    id: z.string(),
    object: z.literal('bot'),
    name: z.string(),
    slug: z.string(),
    instructions: z.string().nullable(),
    model: z.string().nullable(),
    models: botModels.nullable(),
    temperature: z.number().nullable(),
    max_output_tokens: z.number().int().nullable(),
    refusal_message: z.string().nullable(),
    retrieval: retrievalSettings,
    privacy: z.strictObject({ pii: z.enum(['off', 'mask', 'vault']) }),
    metadata: storedMetadata,
    prompt: promptSetting.nullable(),
    prompt_version: z.string().describe('Of the template that is in force; changes with its text.'),
    chunking_strategy: chunkingStrategy,
    embedding_model: z.string().describe('Of the index generation that answers.'),
    generation: z.string().nullable().describe('The index generation that answers; null before the first training.'),
    created_at: unixSeconds,
    updated_at: unixSeconds,
  })
  .meta({ id: 'Bot' });

export type WireBot = z.infer<typeof wireBot>;
