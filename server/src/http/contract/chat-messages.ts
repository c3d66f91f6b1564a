import { z } from 'zod';
import { sentToolCalls } from './tools.ts';

const MAX_MESSAGES = 1000;
const MAX_MESSAGE_CHARACTERS = 200_000;

const words = z.string().max(MAX_MESSAGE_CHARACTERS);
const textPart = z.strictObject({ type: z.literal('text'), text: words });
const content = z.union([words, z.array(textPart).min(1).max(100)], {
  error: 'Message content must be a string or a list of {type: "text", text} parts; images and audio are not read.',
});
const name = z.string().max(256).optional();

/** OpenAI's message. `developer` is read as `system`; calls of tools and what tools answered go to the model. */
export const chatMessage = z.discriminatedUnion('role', [
  z.strictObject({ role: z.literal('system'), content, name }),
  z.strictObject({ role: z.literal('developer'), content, name }),
  z.strictObject({ role: z.literal('user'), content, name }),
  z.strictObject({
    role: z.literal('assistant'),
    content: content.nullish(),
    name,
    refusal: z.string().nullish(),
    audio: z.unknown().optional(),
    annotations: z.unknown().optional(),
    tool_calls: sentToolCalls,
    function_call: z.unknown().optional(),
    chatsphere: z.unknown().optional(),
  }),
  z.strictObject({
    role: z.literal(['tool', 'function']),
    content,
    tool_call_id: z.string().max(256).optional(),
    name,
  }),
]);

export const chatMessages = z.array(chatMessage).max(MAX_MESSAGES);

export type WireChatMessage = z.infer<typeof chatMessage>;
