import { AppError, type Clock, systemClock } from '../../kernel/index.ts';
import {
  type ChatModel,
  type ChatModelRequest,
  interrupted,
  type ProviderHttp,
  type ProviderResponse,
  readFailure,
  readModelAnswer,
  toProviderError,
} from '../../llm/index.ts';
import { createAnthropicAnswer } from './answer.ts';
import { messagesBody } from './messages-body.ts';

export interface AnthropicChatModelOptions {
  readonly http: ProviderHttp;
  /** Without `/v1`: `https://api.anthropic.com`. */
  readonly baseUrl: string;
  /** Null for servers that take calls without one. */
  readonly apiKey: string | null;
  /** As Anthropic spells it. */
  readonly model: string;
  /** First part of the model's id. Default `anthropic`. */
  readonly provider?: string;
  readonly clock?: Clock;
}

/** The version of the wire format that is spoken here. */
const API_VERSION = '2023-06-01';

/**
 * A chat model behind Anthropic's messages API (https://docs.anthropic.com/en/api/messages). Every failure is an AppError
 * whose message holds nothing of what the provider wrote.
 */
export function createAnthropicChatModel(options: AnthropicChatModelOptions): ChatModel {
  const { http, model, apiKey, clock = systemClock } = options;
  const url = `${options.baseUrl.replace(/\/+$/, '')}/v1/messages`;
  const headers = {
    'content-type': 'application/json',
    'anthropic-version': API_VERSION,
    ...(apiKey === null ? {} : { 'x-api-key': apiKey }),
  };

  async function ask(request: ChatModelRequest, signal: AbortSignal | undefined): Promise<ProviderResponse> {
    const body = JSON.stringify(messagesBody(model, request));
    const response = await http.send({ url, headers, body, ...(signal === undefined ? {} : { signal }) });
    if (response.status >= 200 && response.status < 300) return response;
    const failure = await readFailure(response, clock.now());
    signal?.throwIfAborted();
    throw toProviderError(failure);
  }

  return {
    id: `${options.provider ?? 'anthropic'}/${model}`,
    async *doStream(request, { signal }) {
      signal?.throwIfAborted();
      let response: ProviderResponse | null = null;
      try {
        response = await ask(request, signal);
        yield* readModelAnswer(response, createAnthropicAnswer(), clock);
      } catch (error) {
        signal?.throwIfAborted();
        throw error instanceof AppError ? error : interrupted(error);
      } finally {
        // Frees the connection of an answer that was not read to its end; does nothing to one that was.
        response?.cancel();
      }
    },
  };
}
