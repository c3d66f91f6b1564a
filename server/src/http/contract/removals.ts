import { z } from 'zod';
import { deleted } from './pages.ts';

const count = z.number().int().min(0);

/** What went, counted before it went. */
export const wireReceipt = z
  .strictObject({
    sources: count,
    documents: count,
    chunks: count.describe('Passages that could be found.'),
    vectors: count.describe('Vectors of all windows of the chunks, in every vector space.'),
    files: count.describe('Uploaded files and texts. Their bytes go as soon as nothing else has the same.'),
  })
  .meta({ id: 'RemovalReceipt' });

/** What the deletion of content answers. */
export function deletedContent<Kind extends string>(kind: Kind) {
  return deleted(kind).extend({ receipt: wireReceipt });
}
