import { z } from 'zod';
import { line } from './text.ts';

const MAX_MESSAGES = 1000;
const MAX_PARTS = 1000;
const MAX_CHARACTERS = 200_000;

const textPart = z.looseObject({ type: z.literal('text'), text: z.string().max(MAX_CHARACTERS) });
const otherPart = z.looseObject({ type: z.string().min(1).max(256) });

/** A message as the AI SDK keeps it. Parts that are no text are accepted and passed over. */
const uiMessage = z.looseObject({
  id: z.string().max(256).optional(),
  role: z.enum(['system', 'user', 'assistant']),
  parts: z.array(z.union([textPart, otherPart])).max(MAX_PARTS),
});

/** What `useChat` sends, with what `DefaultChatTransport` adds from its `body`. Unknown fields are passed over: it has many. */
export const uiChatBody = z
  .object({
    id: line(200).optional().describe('Of the chat; its live answer can be found again by it.'),
    messages: z.array(uiMessage).min(1).max(MAX_MESSAGES).describe('The last one is the question.'),
    trigger: z.string().max(100).optional(),
    messageId: z.string().max(256).nullish(),
    conversation: z
      .union([z.literal(true), line(64)])
      .nullish()
      .describe('An id to continue, true to begin one.'),
    user: z.string().min(1).max(256).nullish().describe('Your id of the person who asks.'),
    resumable: z
      .boolean()
      .nullish()
      .describe('The answer goes on for a while when you leave, for `resumeStream`. Stop it by its own route then.'),
    temperature: z.number().min(0).max(2).nullish(),
    max_tokens: z.number().int().min(1).max(1_000_000).nullish(),
  })
  .meta({ id: 'UIChatRequest' });

export type UIChatBody = z.infer<typeof uiChatBody>;

export const uiChatParams = z.strictObject({
  bot: z.string().min(1).max(200).describe('A bot id or slug.'),
  chat: z.string().min(1).max(200).describe('The `id` that was sent.'),
});

/** One event's data; the parts are those of `uiMessageChunkSchema` in the package `ai`. */
export const uiMessageChunk = z.looseObject({ type: z.string() }).meta({ id: 'UIMessageChunk' });
