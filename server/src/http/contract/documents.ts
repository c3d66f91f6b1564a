import { z } from 'zod';
import { listQuery } from './pages.ts';
import { failure, unixSeconds } from './text.ts';

export const wireDocument = z
  .strictObject({
    id: z.string(),
    object: z.literal('document'),
    bot_id: z.string(),
    source_id: z.string(),
    title: z.string(),
    url: z.string().nullable(),
    input_name: z.string().describe('The file or text it came from.'),
    status: z.enum(['building', 'searchable', 'refused']),
    last_error: failure.nullable(),
    content_hash: z.string().describe('SHA-256 of the stored text, hex.'),
    tokens: z.number().int(),
    created_at: unixSeconds,
  })
  .meta({ id: 'Document' });

export const wireDocumentWithText = wireDocument
  .extend({ text: z.string().describe('The cleaned text that all offsets point into (UTF-16 code units).') })
  .meta({ id: 'DocumentWithText' });

/** Chunks come as they stand in the text, unless asked for otherwise. */
export const chunkQuery = listQuery('chk').extend({
  order: z.enum(['asc', 'desc']).default('asc').describe('By their place in the document.'),
});

export const wireChunk = z
  .strictObject({
    id: z.string(),
    object: z.literal('chunk'),
    source_id: z.string(),
    document_id: z.string(),
    position: z.number().int(),
    start: z.number().int(),
    end: z.number().int(),
    text: z.string(),
    heading_path: z.array(z.string()).readonly(),
    page: z.number().int().nullable(),
    tokens: z.number().int(),
    hash: z.string(),
  })
  .meta({ id: 'Chunk' });

export type WireDocument = z.infer<typeof wireDocument>;
export type WireDocumentWithText = z.infer<typeof wireDocumentWithText>;
export type WireChunk = z.infer<typeof wireChunk>;
