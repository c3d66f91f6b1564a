import type { AnswerEvent, AnswerRequest, ToolCall } from '../../chat/index.ts';
import { AppError } from '../../kernel/index.ts';
import type { Bot } from '../../store/index.ts';
import type {
  AnswerExtras,
  ChatCompletion,
  ChatCompletionBody,
  ChatCompletionChunk,
  WireToolCall,
  WireUsage,
} from '../contract/index.ts';
import { toHeaderValue } from '../header-value.ts';
import { chatMessagesOf, checkToolAnswers } from './chat-messages.ts';
import { toWireCitation } from './conversation.ts';

export type AnswerStart = Extract<AnswerEvent, { readonly type: 'start' }>;
type ToolCallPiece = Extract<AnswerEvent, { readonly type: 'tool-call-delta' }>;
export type AnswerEnd = Extract<AnswerEvent, { readonly type: 'end' }>;

/** Throws `invalid_request` when the last message is no question, or calls of tools and their answers do not match. */
export function answerRequestOf(
  body: ChatCompletionBody,
  caller: { readonly bot: Bot; readonly keyId: string | null; readonly cacheHeader?: string | undefined },
): AnswerRequest {
  const messages = chatMessagesOf(body.messages);
  const question = messages.findLast(({ role }) => role === 'user');
  const last = messages.at(-1);
  if ((last?.role !== 'user' && last?.role !== 'tool') || (question?.content ?? '').trim() === '') {
    const param = 'messages';
    throw new AppError(
      'invalid_request',
      'messages: The last message must be of role "user" and hold the question, or of role "tool".',
      {
        param,
      },
    );
  }
  checkToolAnswers(messages);
  const maxOutputTokens = body.max_completion_tokens ?? body.max_tokens;
  return {
    bot: caller.bot,
    messages,
    ...(body.conversation === undefined || body.conversation === null ? {} : { conversation: body.conversation }),
    ...(typeof body.user === 'string' ? { endUser: body.user } : {}),
    ...(caller.keyId === null ? {} : { keyId: caller.keyId }),
    ...(caller.cacheHeader?.trim().toLowerCase() === 'off' ? { cache: 'off' } : {}),
    ...(typeof body.temperature === 'number' ? { temperature: body.temperature } : {}),
    ...(typeof maxOutputTokens === 'number' ? { maxOutputTokens } : {}),
    ...(typeof body.top_p === 'number' ? { topP: body.top_p } : {}),
    ...(typeof body.seed === 'number' ? { seed: body.seed } : {}),
    ...(typeof body.presence_penalty === 'number' ? { presencePenalty: body.presence_penalty } : {}),
    ...(typeof body.frequency_penalty === 'number' ? { frequencyPenalty: body.frequency_penalty } : {}),
    ...(typeof body.reasoning_effort === 'string' ? { reasoningEffort: body.reasoning_effort } : {}),
    ...toolSettingsOf(body),
    ...formatOf(body),
    ...(body.stop === undefined || body.stop === null ? {} : { stop: [body.stop].flat() }),
  };
}

function toolSettingsOf(body: ChatCompletionBody): Pick<AnswerRequest, 'tools' | 'toolChoice' | 'parallelToolCalls'> {
  if (body.tools === undefined || body.tools === null || body.tools.length === 0) return {};
  const tools = body.tools.map(({ function: { name, description, parameters, strict } }) => ({
    name,
    ...(typeof description === 'string' ? { description } : {}),
    ...(parameters === undefined || parameters === null ? {} : { parameters }),
    ...(typeof strict === 'boolean' ? { strict } : {}),
  }));
  const choice = body.tool_choice;
  return {
    tools,
    ...(choice === undefined || choice === null
      ? {}
      : { toolChoice: typeof choice === 'string' ? choice : { name: choice.function.name } }),
    ...(typeof body.parallel_tool_calls === 'boolean' ? { parallelToolCalls: body.parallel_tool_calls } : {}),
  };
}

/** Text is what answers are anyway. */
function formatOf({ response_format: format }: ChatCompletionBody): Pick<AnswerRequest, 'responseFormat'> {
  if (format === undefined || format === null || format.type === 'text') return {};
  if (format.type === 'json_object') return { responseFormat: { type: 'json_object' } };
  const { name, description, schema, strict } = format.json_schema;
  return {
    responseFormat: {
      type: 'json_schema',
      name,
      ...(typeof description === 'string' ? { description } : {}),
      ...(schema === undefined || schema === null ? {} : { schema }),
      ...(typeof strict === 'boolean' ? { strict } : {}),
    },
  };
}

/** What stays the same over all parts of one answer. */
export interface CompletionFrame {
  /** As the client named it. */
  readonly model: string;
  /** Unix seconds. */
  readonly created: number;
}

/** Headers that tell how the answer came about. `overhead` is what this layer took before the question was handed on. */
export function answerHeaders(start: AnswerStart, overheadMs: number): Record<string, string> {
  return {
    'x-chatsphere-served-by': toHeaderValue(start.servedBy),
    'x-chatsphere-cache': start.cache,
    'x-chatsphere-attempts': String(start.attempts),
    'x-chatsphere-overhead-ms': String(overheadMs),
    ...(start.degraded.length === 0 ? {} : { 'x-chatsphere-degraded': start.degraded.join(', ') }),
  };
}

export function toChatCompletion(
  frame: CompletionFrame,
  answer: {
    readonly start: AnswerStart;
    readonly text: string;
    readonly toolCalls: readonly ToolCall[];
    readonly end: AnswerEnd;
  },
): ChatCompletion {
  const { start, text, toolCalls, end } = answer;
  return {
    id: start.messageId,
    object: 'chat.completion',
    created: frame.created,
    model: frame.model,
    choices: [
      {
        index: 0,
        message: {
          role: 'assistant',
          content: text === '' && toolCalls.length > 0 ? null : text,
          refusal: null,
          ...(toolCalls.length === 0 ? {} : { tool_calls: toolCalls.map(toWireToolCall) }),
          chatsphere: extrasOf(start, end),
        },
        logprobs: null,
        finish_reason: end.finishReason,
      },
    ],
    usage: toWireUsage(end.usage),
  };
}

type Delta = ChatCompletionChunk['choices'][number]['delta'];

/** Makes the chunks of one streamed answer. With `includeUsage` each says `usage: null` until the last, as OpenAI's do. */
export function createChunkMaker(frame: CompletionFrame, start: AnswerStart, includeUsage: boolean) {
  const shared = {
    id: start.messageId,
    object: 'chat.completion.chunk' as const,
    created: frame.created,
    model: frame.model,
  };
  const noUsage = includeUsage ? { usage: null } : {};

  function chunk(
    delta: Delta,
    finishReason: AnswerEnd['finishReason'] | 'cancelled' | null = null,
  ): ChatCompletionChunk {
    return { ...shared, choices: [{ index: 0, delta, logprobs: null, finish_reason: finishReason }], ...noUsage };
  }

  return {
    begin: (): ChatCompletionChunk => chunk({ role: 'assistant', content: '' }),
    text: (content: string): ChatCompletionChunk => chunk({ content }),
    toolCall: (piece: ToolCallPiece): ChatCompletionChunk => chunk({ tool_calls: [toWireToolCallDelta(piece)] }),
    /** The extras stand beside the choices, and in the delta, from which SDKs put them on the finished message. */
    end(end: AnswerEnd): ChatCompletionChunk {
      const chatsphere = extrasOf(start, end);
      return { ...chunk({ chatsphere }, end.finishReason), chatsphere };
    },
    /** Somebody stopped the answer. */
    cancelled: (): ChatCompletionChunk => chunk({}, 'cancelled'),
    usage: (end: AnswerEnd): ChatCompletionChunk => ({ ...shared, choices: [], usage: toWireUsage(end.usage) }),
  };
}

function toWireToolCall({ id, name, argumentsText }: ToolCall): WireToolCall {
  return { id, type: 'function', function: { name, arguments: argumentsText } };
}

function toWireToolCallDelta({
  index,
  id,
  name,
  argumentsText,
}: ToolCallPiece): NonNullable<Delta['tool_calls']>[number] {
  return {
    index,
    ...(id === undefined ? {} : { id, type: 'function' }),
    function: { ...(name === undefined ? {} : { name }), arguments: argumentsText },
  };
}

export function extrasOf(start: AnswerStart, end: AnswerEnd): AnswerExtras {
  return {
    conversation: start.conversationId,
    message: start.messageId,
    citations: end.citations.map(toWireCitation),
    grounded: end.grounded,
    served_by: start.servedBy,
    cache: start.cache,
    degraded: end.degraded,
  };
}

/** Tokens in OpenAI's names. */
export function toWireUsage(usage: AnswerEnd['usage']): WireUsage {
  return {
    prompt_tokens: usage.inputTokens,
    completion_tokens: usage.outputTokens,
    total_tokens: usage.inputTokens + usage.outputTokens,
  };
}
