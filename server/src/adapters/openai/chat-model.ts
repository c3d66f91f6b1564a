import { AppError, type JsonObject, systemClock } from '../../kernel/index.ts';
import type { ChatModel, ChatModelEvent, ChatModelRequest } from '../../llm/index.ts';
import { readChatStream, readChunk } from './chat-stream.ts';
import { createProviderClient, type ProviderClient, type ProviderConnection, readJsonBody } from './provider-client.ts';
import { interrupted, invalidResponse } from './provider-errors.ts';

export interface OpenAiChatModelOptions extends ProviderConnection {
  /** As the provider spells it. */
  readonly model: string;
  /** First part of the model's id. Default `openai`. */
  readonly provider?: string;
}

const LARGEST_COMPLETION_BYTES = 8 * 1024 * 1024;

/** Models that think before they speak take their limit under another name, and neither temperature nor stop texts. */
const REASONING_MODEL = /(?:^|\/)(?:o\d|gpt-5(?!-chat))/;

/**
 * A chat model behind OpenAI's chat completions API, at OpenAI or any server that speaks it. Every failure is an AppError
 * whose message holds nothing of what the provider wrote.
 */
export function createOpenAiChatModel(options: OpenAiChatModelOptions): ChatModel {
  const client = createProviderClient(options);
  return {
    id: `${options.provider ?? 'openai'}/${options.model}`,
    doStream: (request, { signal }) => streamCompletion({ client, options, request, signal }),
  };
}

interface CompletionCall {
  readonly client: ProviderClient;
  readonly options: OpenAiChatModelOptions;
  readonly request: ChatModelRequest;
  readonly signal: AbortSignal | undefined;
}

async function* streamCompletion({ client, options, request, signal }: CompletionCall): AsyncGenerator<ChatModelEvent> {
  const finished = new AbortController();
  const eitherSignal = signal === undefined ? finished.signal : AbortSignal.any([signal, finished.signal]);
  try {
    const response = await client.post('/chat/completions', requestBody(options.model, request), eitherSignal);
    const kind = response.headers.get('content-type') ?? '';
    if (kind.includes('json')) yield* readCompletion(await readJsonBody(response, LARGEST_COMPLETION_BYTES));
    else if (kind.includes('html') || response.body === null) throw invalidResponse('something else than an answer');
    else yield* readChatStream(response.body, options.clock ?? systemClock);
  } catch (error) {
    signal?.throwIfAborted();
    throw error instanceof AppError ? error : interrupted(error);
  } finally {
    // Frees the connection of an answer that was not read to its end; does nothing to one that was.
    finished.abort();
  }
}

function requestBody(model: string, request: ChatModelRequest): JsonObject {
  const { messages, temperature, maxOutputTokens, stop, endUser } = request;
  const reasons = REASONING_MODEL.test(model);
  return {
    model,
    messages: messages.map(({ role, content }) => ({ role, content })),
    stream: true,
    stream_options: { include_usage: true },
    ...(temperature === undefined || reasons ? {} : { temperature }),
    ...(maxOutputTokens === undefined ? {} : { [reasons ? 'max_completion_tokens' : 'max_tokens']: maxOutputTokens }),
    ...(stop === undefined || stop.length === 0 || reasons ? {} : { stop }),
    ...(endUser === undefined ? {} : { user: endUser }),
  };
}

/** The answer of a server that does not stream, as if it had. */
function* readCompletion(value: unknown): Generator<ChatModelEvent> {
  const { text, finishReason, usage } = readChunk(value);
  if (finishReason === null) throw invalidResponse('an incomplete answer');
  if (text !== '') yield { type: 'text-delta', text };
  yield { type: 'end', finishReason, usage };
}
