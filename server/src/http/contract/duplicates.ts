import { z } from 'zod';

const similarity = z.number().describe('Estimated share of what two texts have in common; 1: they are equal.');

export const wireDuplicateGroup = z
  .strictObject({
    id: z.string().describe('The id of the oldest document.'),
    object: z.literal('duplicate_group'),
    count: z.number().int().describe('Documents in the group, also those beyond the first 100.'),
    similarity: similarity.describe('Of the document that has the least in common with the oldest.'),
    documents: z.array(
      z.strictObject({
        document_id: z.string(),
        source_id: z.string(),
        external_key: z.string().nullable(),
        title: z.string(),
        url: z.string().nullable(),
        similarity,
      }),
    ),
  })
  .meta({ id: 'DuplicateGroup' });

export type WireDuplicateGroup = z.infer<typeof wireDuplicateGroup>;
