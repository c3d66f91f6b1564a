import { z } from 'zod';
import { wireBot } from './bots.ts';
import { line, slug } from './text.ts';

export const exportQuery = z.strictObject({
  files: z
    .enum(['true', 'false'])
    .default('true')
    .transform((value) => value === 'true')
    .describe('Whether the files that the bot was trained on go with it. Without them sources cannot be synced again.'),
});

export const importQuery = z.strictObject({
  slug: slug.optional().describe("The new bot's; else that of the exported one, numbered when it is taken."),
  name: line(200).optional(),
});

const count = z.number().int().min(0);

export const wireImportedBot = wireBot.extend({
  imported: z
    .strictObject({ sources: count, documents: count, chunks: count, reused: count })
    .describe('What came in; `reused`: chunks whose vectors came with them.'),
});
