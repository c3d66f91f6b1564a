import { AppError, systemClock } from '../../kernel/index.ts';
import {
  type ChatModel,
  type ChatModelRequest,
  interrupted,
  type ProviderResponse,
  readModelAnswer,
} from '../../llm/index.ts';
import { createOpenAiAnswer } from './chat-answer.ts';
import { chatRequestBody, limitsOf, narrowLimits } from './chat-request.ts';
import { createOpenAiClient, type OpenAiConnection } from './openai-client.ts';

export interface OpenAiChatModelOptions extends OpenAiConnection {
  /** As the provider spells it; at Azure the name of the deployment. */
  readonly model: string;
  /** First part of the model's id. Default `openai`. */
  readonly provider?: string;
}

/**
 * A chat model behind OpenAI's chat completions API, at OpenAI, at Azure or at any server that speaks it. Every failure is
 * an AppError whose message holds nothing of what the provider wrote. A parameter that a server refuses by name and that
 * can be done without (`stream_options`, the old name of the token limit) is left out from then on.
 */
export function createOpenAiChatModel(options: OpenAiChatModelOptions): ChatModel {
  const { model, clock = systemClock } = options;
  const client = createOpenAiClient(options, { model, route: 'chat/completions' });
  let limits = limitsOf(model);

  function ask(request: ChatModelRequest, signal: AbortSignal | undefined): Promise<ProviderResponse> {
    return client.post(chatRequestBody(model, request, limits), {
      signal,
      onRefused(failure) {
        const narrower = narrowLimits(limits, failure);
        if (narrower === null) return null;
        limits = narrower;
        return chatRequestBody(model, request, limits);
      },
    });
  }

  return {
    id: `${options.provider ?? 'openai'}/${model}`,
    async *doStream(request, { signal }) {
      signal?.throwIfAborted();
      let response: ProviderResponse | null = null;
      try {
        response = await ask(request, signal);
        yield* readModelAnswer(response, createOpenAiAnswer(), clock);
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
