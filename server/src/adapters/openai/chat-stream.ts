import type { Clock } from '../../kernel/index.ts';
import {
  type ChatModelEvent,
  type FinishReason,
  readServerSentEvents,
  type ServerSentEvent,
  type TokenUsage,
} from '../../llm/index.ts';
import { countOrZero, field, items, textOrNull } from './json-access.ts';
import { toFailure } from './provider-client.ts';
import { interrupted, invalidResponse } from './provider-errors.ts';

const LARGEST_EVENT_BYTES = 1024 * 1024;

/** How long to wait for usage and `[DONE]` once the model has finished. */
const AFTER_FINISH_MS = 2000;
/** How long to wait for the body to end after `[DONE]`, so that its connection can be used again. */
const AFTER_DONE_MS = 100;

/** What one chunk of a streamed completion says; a whole completion reads as a single chunk. */
interface ChatChunk {
  readonly text: string;
  readonly finishReason: FinishReason | null;
  readonly usage: TokenUsage | null;
}

/**
 * Reads a streamed chat completion. A stream that ends before a finish reason was seen rejects with `stream_interrupted`,
 * an error event with what it says, a line that is no JSON with `provider_invalid_response`. Once the finish reason is
 * there the answer is whole: whatever goes wrong after it (no `[DONE]`, a reset, a server that does not hang up) is ignored.
 */
export async function* readChatStream(body: AsyncIterable<Uint8Array>, clock: Clock): AsyncGenerator<ChatModelEvent> {
  const events = readServerSentEvents(body, { maxEventBytes: LARGEST_EVENT_BYTES });
  let usage: TokenUsage | null = null;
  let finishReason: FinishReason | null = null;
  let isEmpty = true;
  try {
    while (finishReason === null) {
      const { done, value } = await events.next();
      const chunk = done ? null : readEvent(value);
      if (chunk === null) throw isEmpty ? invalidResponse('an empty answer') : interrupted();
      isEmpty = false;
      usage = chunk.usage ?? usage;
      finishReason = chunk.finishReason;
      if (chunk.text !== '') yield { type: 'text-delta', text: chunk.text };
    }
    usage = (await readRest(events, clock)) ?? usage;
    yield { type: 'end', finishReason, usage };
  } finally {
    // Not awaited: a read under way would hold it up, and the caller's signal has ended that already.
    events.return(undefined).catch(() => {});
  }
}

/** The chunk in an event; null when the stream ends with it. */
function readEvent({ data, torn }: ServerSentEvent): ChatChunk | null {
  if (data.trim() === '[DONE]') return null;
  const value = parse(data);
  if (value === undefined) {
    if (torn) return null;
    throw invalidResponse('a line that is no valid JSON');
  }
  return readChunk(value);
}

function parse(data: string): unknown {
  try {
    return JSON.parse(data);
  } catch {
    return undefined;
  }
}

export function readChunk(value: unknown): ChatChunk {
  const error = field(value, 'error');
  if (error !== undefined && error !== null) throw toFailure(error);
  const choice = items(field(value, 'choices')).find((candidate) => (field(candidate, 'index') ?? 0) === 0);
  const said = field(choice, 'delta') ?? field(choice, 'message');
  return {
    text: textOrNull(field(said, 'content')) ?? '',
    finishReason: readFinishReason(field(choice, 'finish_reason')),
    usage: readUsage(field(value, 'usage')),
  };
}

/** The usage in what follows the finish reason, which may be nothing, or nothing in time. */
async function readRest(events: AsyncGenerator<ServerSentEvent>, clock: Clock): Promise<TokenUsage | null> {
  let usage: TokenUsage | null = null;
  let patienceMs = AFTER_FINISH_MS;
  for (;;) {
    const event = await nextWithin(events, patienceMs, clock);
    if (event === null) return usage;
    if (event.data.trim() === '[DONE]') patienceMs = AFTER_DONE_MS;
    else usage = readUsage(field(parse(event.data), 'usage')) ?? usage;
  }
}

async function nextWithin(
  events: AsyncGenerator<ServerSentEvent>,
  milliseconds: number,
  clock: Clock,
): Promise<ServerSentEvent | null> {
  const waiting = new AbortController();
  const tooLate = clock.sleep(milliseconds, waiting.signal).then(
    () => null,
    () => null,
  );
  const next = events.next().then(
    ({ done, value }) => (done ? null : value),
    () => null,
  );
  const event = await Promise.race([next, tooLate]);
  waiting.abort();
  return event;
}

function readFinishReason(reason: unknown): FinishReason | null {
  if (typeof reason !== 'string' || reason === '') return null;
  if (reason === 'length' || reason === 'max_tokens') return 'length';
  if (reason === 'content_filter') return 'content_filter';
  return reason === 'tool_calls' || reason === 'function_call' ? 'tool_calls' : 'stop';
}

function readUsage(usage: unknown): TokenUsage | null {
  if (field(usage, 'prompt_tokens') === undefined) return null;
  return {
    inputTokens: countOrZero(field(usage, 'prompt_tokens')),
    outputTokens: countOrZero(field(usage, 'completion_tokens')),
  };
}
