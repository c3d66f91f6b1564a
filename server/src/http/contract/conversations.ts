import { z } from 'zod';
import { listQuery } from './pages.ts';
import { line, storedMetadata, unixSeconds } from './text.ts';

export const conversationQuery = listQuery('conv').extend({
  bot: line(200).optional().describe('A bot id or slug.'),
  user: line(256).optional().describe('The `user` that was sent with the chats.'),
});

export const wireCitation = z
  .strictObject({
    index: z.number().int().describe('The number in the `[n]` marker of the text.'),
    source_id: z.string(),
    document_id: z.string(),
    chunk_id: z.string(),
    external_key: z.string().nullable(),
    title: z.string(),
    url: z.string().nullable(),
    page: z.number().int().nullable(),
    start: z.number().int(),
    end: z.number().int(),
    quote: z.string().describe('Exactly the stored text from `start` to `end`.'),
    score: z.number(),
  })
  .meta({ id: 'Citation' });

export const wireConversation = z
  .strictObject({
    id: z.string(),
    object: z.literal('conversation'),
    bot_id: z.string(),
    user: z.string().nullable(),
    title: z.string().nullable(),
    metadata: storedMetadata,
    created_at: unixSeconds,
    updated_at: unixSeconds,
  })
  .meta({ id: 'Conversation' });

export const wireMessage = z
  .strictObject({
    id: z.string(),
    object: z.literal('message'),
    bot_id: z.string(),
    conversation_id: z.string(),
    role: z.enum(['user', 'assistant']),
    content: z.string(),
    status: z.enum(['complete', 'incomplete']),
    citations: z.array(wireCitation).readonly(),
    grounded: z.boolean().nullable(),
    served_by: z.string().nullable(),
    created_at: unixSeconds,
  })
  .meta({ id: 'Message' });

export type WireCitation = z.infer<typeof wireCitation>;
export type WireConversation = z.infer<typeof wireConversation>;
export type WireMessage = z.infer<typeof wireMessage>;
