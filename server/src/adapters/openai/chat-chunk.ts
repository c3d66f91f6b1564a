import {
  countOrZero,
  describeError,
  type FinishReason,
  field,
  items,
  type TokenUsage,
  textOrNull,
  toProviderError,
} from '../../llm/index.ts';

/** What one chunk of a streamed completion says; a whole completion reads as a single chunk. */
export interface ChatChunk {
  readonly text: string;
  readonly toolCalls: readonly ToolCallPiece[];
  readonly finishReason: FinishReason | null;
  readonly usage: TokenUsage | null;
}

/** A piece of a call of a tool as the server sent it; servers leave out more or less of it. */
export interface ToolCallPiece {
  readonly index: number | null;
  readonly id: string | null;
  readonly name: string | null;
  readonly argumentsText: string;
}

const NO_CALLS: readonly ToolCallPiece[] = [];

/** Throws what an error object says. */
export function readChunk(value: unknown): ChatChunk {
  const error = field(value, 'error');
  if (error !== undefined && error !== null) throw toFailure(error);
  const choice = firstChoice(items(field(value, 'choices')));
  const said = field(choice, 'delta') ?? field(choice, 'message');
  const calls = field(said, 'tool_calls');
  return {
    text: readText(field(said, 'content')) || (textOrNull(field(said, 'refusal')) ?? ''),
    toolCalls: Array.isArray(calls) ? calls.map(readToolCall) : NO_CALLS,
    finishReason: readFinishReason(field(choice, 'finish_reason')),
    usage: readUsage(field(value, 'usage')),
  };
}

function firstChoice(choices: readonly unknown[]): unknown {
  const first = choices[0];
  if ((field(first, 'index') ?? 0) === 0) return first;
  return choices.find((choice) => field(choice, 'index') === 0);
}

/** A text, or a list of parts of which the texts count. */
function readText(content: unknown): string {
  if (typeof content === 'string') return content;
  return items(content)
    .map((part) => (field(part, 'type') === 'text' ? (textOrNull(field(part, 'text')) ?? '') : ''))
    .join('');
}

function readToolCall(call: unknown): ToolCallPiece {
  const index = field(call, 'index');
  const called = field(call, 'function');
  const given = field(called, 'arguments');
  return {
    index: typeof index === 'number' ? index : null,
    id: textOrNull(field(call, 'id')),
    name: textOrNull(field(called, 'name')),
    argumentsText: typeof given === 'object' && given !== null ? JSON.stringify(given) : (textOrNull(given) ?? ''),
  };
}

/** The failure in an error object that came with status 200 or inside a stream; some servers put a status into `code`. */
export function toFailure(error: unknown): Error {
  const code = field(error, 'code');
  return toProviderError({ status: typeof code === 'number' ? code : null, ...describeError(error) });
}

function readFinishReason(reason: unknown): FinishReason | null {
  if (typeof reason !== 'string' || reason === '') return null;
  if (reason === 'length' || reason === 'max_tokens') return 'length';
  if (reason === 'content_filter') return 'content_filter';
  return reason === 'tool_calls' || reason === 'function_call' ? 'tool_calls' : 'stop';
}

export function readUsage(usage: unknown): TokenUsage | null {
  if (field(usage, 'prompt_tokens') === undefined) return null;
  const cachedInputTokens = countOrZero(field(field(usage, 'prompt_tokens_details'), 'cached_tokens'));
  const reasoningTokens = countOrZero(field(field(usage, 'completion_tokens_details'), 'reasoning_tokens'));
  return {
    inputTokens: countOrZero(field(usage, 'prompt_tokens')),
    outputTokens: countOrZero(field(usage, 'completion_tokens')),
    ...(cachedInputTokens === 0 ? {} : { cachedInputTokens }),
    ...(reasoningTokens === 0 ? {} : { reasoningTokens }),
  };
}
