import { randomUUID } from 'node:crypto';
import type { FinishReason, TokenUsage, ToolCallDelta } from '../../llm/index.ts';

/** What one streamed message of a chat model of LangChain.js says. */
export interface ChatChunk {
  readonly text: string;
  readonly toolCalls: readonly ToolCallPiece[];
  readonly finishReason: FinishReason | null;
  /** Counts of this chunk alone: providers spread them over several. */
  readonly usage: TokenUsage | null;
}

/** A piece of a call of a tool, numbered as the provider does. */
interface ToolCallPiece {
  readonly number: number | null;
  readonly id: string | null;
  readonly name: string | null;
  readonly argumentsText: string;
}

const REASON_NAMES = ['finish_reason', 'finishReason', 'stop_reason', 'stopReason', 'done_reason'];

export function readChatChunk(message: unknown): ChatChunk {
  return {
    text: textOf(field(message, 'content')),
    toolCalls: toolCallsOf(message),
    finishReason: finishReasonOf(field(message, 'response_metadata'), field(message, 'additional_kwargs')),
    usage: usageOf(field(message, 'usage_metadata')),
  };
}

export function addUsage(one: TokenUsage | null, other: TokenUsage | null): TokenUsage | null {
  if (one === null || other === null) return one ?? other;
  const cachedInputTokens = (one.cachedInputTokens ?? 0) + (other.cachedInputTokens ?? 0);
  const reasoningTokens = (one.reasoningTokens ?? 0) + (other.reasoningTokens ?? 0);
  return {
    inputTokens: one.inputTokens + other.inputTokens,
    outputTokens: one.outputTokens + other.outputTokens,
    ...(cachedInputTokens === 0 ? {} : { cachedInputTokens }),
    ...(reasoningTokens === 0 ? {} : { reasoningTokens }),
  };
}

/** Numbers the calls of one answer 0, 1, 2 ... and gives each an id, as the port wants it. */
export function createToolCallNumbers(): (piece: ToolCallPiece) => ToolCallDelta {
  const known = new Map<string, number>();
  let last: string | null = null;
  return ({ number, id, name, argumentsText }) => {
    // A piece that says nothing of its call goes on with the one before.
    const key: string =
      number !== null
        ? `n${number}`
        : id !== null
          ? `i${id}`
          : name === null && last !== null
            ? last
            : `x${known.size}`;
    last = key;
    const index = known.get(key);
    if (index !== undefined) return { type: 'tool-call-delta', index, argumentsText };
    const next = known.size;
    known.set(key, next);
    return { type: 'tool-call-delta', index: next, id: id ?? `call_${randomUUID()}`, name: name ?? '', argumentsText };
  };
}

/** Pieces of calls in a chunk of a stream, or the calls of a message that came as a whole. */
function toolCallsOf(message: unknown): readonly ToolCallPiece[] {
  const pieces = itemsOf(field(message, 'tool_call_chunks'));
  if (pieces.length > 0) {
    return pieces.map((piece) => {
      const number = field(piece, 'index');
      return {
        number: typeof number === 'number' ? number : null,
        id: textOrNull(field(piece, 'id')),
        name: textOrNull(field(piece, 'name')),
        argumentsText: textOrNull(field(piece, 'args')) ?? '',
      };
    });
  }
  return itemsOf(field(message, 'tool_calls')).map((call) => ({
    number: null,
    id: textOrNull(field(call, 'id')),
    name: textOrNull(field(call, 'name')),
    argumentsText: JSON.stringify(field(call, 'args') ?? {}),
  }));
}

function itemsOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function textOrNull(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}

/** Text, or the text blocks among blocks of several kinds; what a model thinks is none. */
function textOf(content: unknown): string {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return '';
  return content
    .map((block: unknown) => {
      const type = field(block, 'type');
      const text = field(block, 'text');
      const isText = type === 'text' || type === 'text_delta' || type === 'output_text';
      return isText && typeof text === 'string' ? text : '';
    })
    .join('');
}

function finishReasonOf(...holders: readonly unknown[]): FinishReason | null {
  for (const holder of holders) {
    for (const name of REASON_NAMES) {
      const reason = field(holder, name);
      if (typeof reason === 'string' && reason !== '') return toFinishReason(reason.toLowerCase());
    }
  }
  return null;
}

function toFinishReason(reason: string): FinishReason {
  if (/length|max_tokens|max_output_tokens/.test(reason)) return 'length';
  if (/content_filter|safety|refusal|blocklist|prohibited|guardrail/.test(reason)) return 'content_filter';
  return /^(?:tool_calls|tool_use|function_call)$/.test(reason) ? 'tool_calls' : 'stop';
}

function usageOf(usage: unknown): TokenUsage | null {
  const inputTokens = countOf(field(usage, 'input_tokens'));
  const outputTokens = countOf(field(usage, 'output_tokens'));
  if (inputTokens === null && outputTokens === null) return null;
  const cachedInputTokens = countOf(field(field(usage, 'input_token_details'), 'cache_read'));
  const reasoningTokens = countOf(field(field(usage, 'output_token_details'), 'reasoning'));
  return {
    inputTokens: inputTokens ?? 0,
    outputTokens: outputTokens ?? 0,
    ...(cachedInputTokens === null ? {} : { cachedInputTokens }),
    ...(reasoningTokens === null ? {} : { reasoningTokens }),
  };
}

function countOf(value: unknown): number | null {
  return typeof value === 'number' && value >= 0 ? value : null;
}

export function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}
