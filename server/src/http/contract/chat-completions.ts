import { z } from 'zod';
import { chatMessages } from './chat-messages.ts';
import { wireCitation } from './conversations.ts';
import { responseFormat } from './response-format.ts';
import { line } from './text.ts';
import { toolChoice, tools } from './tools.ts';

/** What OpenAI takes and this server passes over: it has no meaning for an answer from a bot's content. */
const anything = z.unknown().optional();
const passedOver = {
  audio: anything,
  function_call: anything,
  functions: anything,
  logit_bias: anything,
  logprobs: anything,
  metadata: anything,
  modalities: anything,
  moderation: anything,
  prediction: anything,
  prompt_cache_key: anything,
  prompt_cache_options: anything,
  prompt_cache_retention: anything,
  safety_identifier: anything,
  service_tier: anything,
  store: anything,
  top_logprobs: anything,
  verbosity: anything,
  web_search_options: anything,
};

const tokenLimit = z.number().int().min(1).max(1_000_000).nullish();
const penalty = z.number().min(-2).max(2).nullish();
const stopWord = z.string().min(1).max(200);

export const chatCompletionBody = z
  .strictObject({
    ...passedOver,
    tools,
    tool_choice: toolChoice,
    parallel_tool_calls: z.boolean().nullish(),
    top_p: z.number().min(0).max(1).nullish(),
    seed: z.number().int().nullish(),
    presence_penalty: penalty,
    frequency_penalty: penalty,
    reasoning_effort: z
      .string()
      .regex(/^[a-z_-]{1,32}$/, 'Send `minimal`, `low`, `medium`, `high` or what your provider adds to these.')
      .nullish()
      .describe('For models that reason.'),
    response_format: responseFormat,
    model: line(200).describe('A bot id or slug.'),
    messages: chatMessages.min(1).describe('The last one is the question.'),
    stream: z.boolean().nullish(),
    stream_options: z
      .strictObject({ include_usage: z.boolean().optional(), include_obfuscation: z.boolean().optional() })
      .nullish(),
    n: z.literal(1, { error: 'One answer is given for each request: leave `n` out or send 1.' }).nullish(),
    temperature: z.number().min(0).max(2).nullish(),
    max_tokens: tokenLimit,
    max_completion_tokens: tokenLimit,
    stop: z.union([stopWord, z.array(stopWord).max(4)]).nullish(),
    resumable: z
      .boolean()
      .nullish()
      .describe(
        'With `stream`: the answer goes on for a while when you leave, so that you can come back for the rest.',
      ),
    user: z.string().min(1).max(256).nullish().describe('Your id of the person who asks.'),
    conversation: z
      .union([z.literal(true), line(64)])
      .nullish()
      .describe('An id to continue, true to begin one.'),
  })
  .meta({ id: 'ChatCompletionRequest' });

export type ChatCompletionBody = z.infer<typeof chatCompletionBody>;

/** What ChatSphere adds to an answer. */
export const answerExtras = z
  .strictObject({
    conversation: z.string().nullable(),
    message: z.string(),
    citations: z.array(wireCitation).readonly(),
    grounded: z.boolean().describe('True when the answer rests on passages.'),
    served_by: z.string(),
    cache: z.enum(['miss', 'exact', 'semantic']),
    degraded: z.array(z.string()).readonly(),
  })
  .meta({ id: 'AnswerExtras' });

/** A call of a tool in an answer. */
const wireToolCall = z.strictObject({
  id: z.string(),
  type: z.literal('function'),
  function: z.strictObject({ name: z.string(), arguments: z.string().describe('JSON, as the model wrote it.') }),
});

const wireToolCallDelta = z.strictObject({
  index: z.number().int(),
  id: z.string().optional(),
  type: z.literal('function').optional(),
  function: z.strictObject({ name: z.string().optional(), arguments: z.string() }),
});

const finishReason = z.enum(['stop', 'length', 'content_filter', 'tool_calls']);

export const wireUsage = z.strictObject({
  prompt_tokens: z.number().int(),
  completion_tokens: z.number().int(),
  total_tokens: z.number().int(),
});

export const chatCompletion = z
  .strictObject({
    id: z.string(),
    object: z.literal('chat.completion'),
    created: z.number().int(),
    model: z.string(),
    choices: z.array(
      z.strictObject({
        index: z.literal(0),
        message: z.strictObject({
          role: z.literal('assistant'),
          content: z.string().nullable().describe('Null when the model only called tools.'),
          refusal: z.null(),
          tool_calls: z.array(wireToolCall).optional(),
          chatsphere: answerExtras,
        }),
        logprobs: z.null(),
        finish_reason: finishReason,
      }),
    ),
    usage: wireUsage,
  })
  .meta({ id: 'ChatCompletion' });

export const chatCompletionChunk = z
  .strictObject({
    id: z.string(),
    object: z.literal('chat.completion.chunk'),
    created: z.number().int(),
    model: z.string(),
    choices: z.array(
      z.strictObject({
        index: z.literal(0),
        delta: z.strictObject({
          role: z.literal('assistant').optional(),
          content: z.string().optional(),
          tool_calls: z.array(wireToolCallDelta).optional(),
          chatsphere: answerExtras.optional(),
        }),
        logprobs: z.null(),
        finish_reason: z
          .union([finishReason, z.literal('cancelled')])
          .nullable()
          .describe('`cancelled`: somebody stopped the answer; what came is not all.'),
      }),
    ),
    usage: wireUsage.nullable().optional(),
    chatsphere: answerExtras.optional(),
  })
  .meta({ id: 'ChatCompletionChunk' });

export type AnswerExtras = z.infer<typeof answerExtras>;
export type ChatCompletion = z.infer<typeof chatCompletion>;
export type ChatCompletionChunk = z.infer<typeof chatCompletionChunk>;
export type WireToolCall = z.infer<typeof wireToolCall>;
export type WireUsage = z.infer<typeof wireUsage>;
