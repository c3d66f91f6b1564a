import { z } from 'zod';
import { line } from './text.ts';

const WANTED =
  'Send `input` as a non-empty string or a list of up to 2048 of them. Token arrays are not read: send the text itself.';
const text = z.string({ error: WANTED }).min(1).max(200_000);

/** OpenAI's request. Token arrays are refused with a message of their own. */
export const embeddingsBody = z.strictObject({
  input: z.union([text, z.array(text).min(1).max(2048)], { error: WANTED }).describe('A text or a list of texts.'),
  model: line(200).describe('An embedder from GET /v1/models.'),
  encoding_format: z.enum(['float', 'base64']).nullish(),
  dimensions: z.number().int().min(1).max(4096).nullish(),
  user: z.string().min(1).max(256).nullish(),
});

export const wireEmbeddings = z
  .strictObject({
    object: z.literal('list'),
    data: z.array(
      z.strictObject({
        object: z.literal('embedding'),
        index: z.number().int(),
        embedding: z.union([z.array(z.number()), z.string()]).describe('Numbers, or float32 little endian in base64.'),
      }),
    ),
    model: z.string(),
    usage: z.strictObject({ prompt_tokens: z.number().int(), total_tokens: z.number().int() }),
  })
  .meta({ id: 'Embeddings' });
