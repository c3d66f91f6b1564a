import { z } from 'zod';
import { line } from './text.ts';

const weight = z.number().min(0.001).max(1000);

export const botModel = z.strictObject({
  model: line(200).describe('`provider/model`, for example `openai/gpt-4o-mini`.'),
  rank: z
    .number()
    .int()
    .min(0)
    .max(100)
    .optional()
    .describe(
      'Lower ones are asked first; those of equal rank share the calls by weight. Default: the place in the list.',
    ),
  weight: weight.optional().describe('Its share among those of equal rank. Default 1.'),
  keys: z
    .array(z.strictObject({ key: z.number().int().min(1).max(100), weight: weight.optional() }))
    .min(1)
    .max(20)
    .optional()
    .describe("Which of the server's keys of that provider, counted from 1, and their shares. Default: all alike."),
  cheaper: z
    .boolean()
    .optional()
    .describe(
      'True: it answers worse, at a lower price. Where it stands in for one of a lower rank, `degraded` says `cheaper_model` instead of `fallback_model`.',
    ),
});

export const botModels = z
  .array(botModel)
  .min(1)
  .max(20)
  .describe(
    'The models that may answer, in the order in which they are asked when those before them fail. `model` is the first of them.',
  );

export type WireBotModel = z.infer<typeof botModel>;
