import { z } from 'zod';
import { chatMessages } from './chat-messages.ts';
import { line, unixSeconds } from './text.ts';

/** A template that comes with the server, or one of the owner's. */
export const promptSetting = z
  .union(
    [
      z.strictObject({
        template: line(100).describe('`default@1`, `customer_service@1`; without a version: its newest.'),
      }),
      z.strictObject({ text: z.string().describe('Text with `{{variables}}`; see docs/prompts.md.') }),
    ],
    { error: 'Give {template: "default@1"}, {text: "..."} with a template of your own, or null.' },
  )
  .meta({ id: 'PromptSetting' });

/** What a request may say: also a version that the bot had before. */
export const promptChange = z.union(
  [...promptSetting.options, z.strictObject({ version: line(100).describe('Of `GET /v1/bots/{bot}/prompts`.') })],
  {
    error:
      'Give {template: "default@1"}, {text: "..."} with a template of your own, {version: "..."} that the bot had before, or null.',
  },
);

export type PromptChange = z.infer<typeof promptChange>;

export const wirePromptVersion = z
  .strictObject({
    id: z.string(),
    object: z.literal('prompt_version'),
    bot: z.string(),
    version: z.string(),
    prompt: promptSetting,
    active: z.boolean().describe('Whether the bot has it now.'),
    created_at: unixSeconds,
    chosen_at: unixSeconds.describe('When it was last made the prompt of the bot.'),
  })
  .meta({ id: 'PromptVersion' });

export type WirePromptVersion = z.infer<typeof wirePromptVersion>;

export const promptPreviewBody = z
  .strictObject({
    question: z.string().min(1).max(32_000).optional(),
    messages: chatMessages.min(1).optional().describe('Instead of `question`: as in a chat completion.'),
    prompt: promptChange
      .nullable()
      .optional()
      .describe("A draft, or an earlier version, in place of the bot's own prompt."),
    conversation: line(200).optional().describe('The id of a conversation to go on with; nothing is added to it.'),
    user: line(256).optional(),
  })
  .refine(({ question, messages }) => (question === undefined) !== (messages === undefined), {
    error: 'Give either a `question` or `messages`.',
    path: ['question'],
  });

export type PromptPreviewBody = z.infer<typeof promptPreviewBody>;

export const wirePromptPreview = z
  .strictObject({
    object: z.literal('prompt_preview'),
    bot: z.string(),
    template_version: z.string().describe('`open@1`: for a bot without content.'),
    model: z.strictObject({
      id: z.string().describe('The model that is asked first.'),
      route: z.array(z.string()).readonly().describe('All that may be asked, in order.'),
      reads_prompts: z.boolean().describe('false: the extractive answerer reads question and passages alone.'),
    }),
    fixed_answer: z.string().nullable().describe('What is said without asking a model; then there are no messages.'),
    messages: z
      .array(z.strictObject({ role: z.enum(['system', 'user', 'assistant', 'tool']), content: z.string() }))
      .readonly()
      .describe('Exactly what is sent.'),
    variables: z
      .array(
        z.strictObject({
          name: z.string(),
          type: z.enum(['line', 'text', 'data']),
          needed: z.boolean(),
          used: z.boolean().describe('Whether the template names it.'),
          value: z.string(),
          tokens: z.number().int(),
        }),
      )
      .readonly(),
    passages: z
      .array(
        z.strictObject({
          index: z.number().int().describe('The number in `[n]` markers.'),
          document_id: z.string(),
          title: z.string(),
          heading_path: z.array(z.string()).readonly(),
          text: z.string(),
          score: z.number(),
          tokens: z.number().int(),
        }),
      )
      .readonly(),
    search_query: z.string(),
    settings: z.strictObject({ temperature: z.number().nullable(), max_output_tokens: z.number().int().nullable() }),
    tokens: z
      .strictObject({
        system: z.number().int(),
        history: z.number().int(),
        question: z.number().int(),
        total: z.number().int().describe('With what the format of messages adds.'),
      })
      .describe('As counted here; providers count a little differently.'),
    degraded: z.array(z.string()).readonly(),
  })
  .meta({ id: 'PromptPreview' });

export type WirePromptPreview = z.infer<typeof wirePromptPreview>;
