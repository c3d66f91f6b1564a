import type { FastifyReply, FastifyRequest } from 'fastify';
import { type Answerer, type AnswerRequest, createToolCallCollector } from '../../chat/index.ts';
import { AppError, toAppError } from '../../kernel/index.ts';
import type { Bot } from '../../store/index.ts';
import {
  type ChatCompletion,
  type ChatCompletionBody,
  type ChatCompletionChunk,
  chatCompletion,
  chatCompletionBody,
  chatCompletionChunk,
} from '../contract/index.ts';
import { logFailure, toWireError } from '../error-response.ts';
import { createEventStream, type EventStream, toLine } from '../event-stream.ts';
import type { HttpParts } from '../http-app-options.ts';
import {
  type AnswerEnd,
  type AnswerStart,
  answerHeaders,
  answerRequestOf,
  type CompletionFrame,
  createChunkMaker,
  toChatCompletion,
} from '../mappers/chat-completion.ts';
import { findBot } from '../owned.ts';
import { headerOf, principalOf, signalOfClient } from '../request-context.ts';
import type { ZodApp } from '../zod-app.ts';

/** A conversation, not a library: longer messages do not fit a model anyway. */
const MAX_BODY_BYTES = 2 * 1024 * 1024;

interface Asked {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly answer: AnswerRequest;
  readonly frame: CompletionFrame;
}

/** OpenAI's chat completions, answered from a bot's content with citations. */
export function addChatRoutes(app: ZodApp, { store, answerer, clock, logger }: HttpParts): void {
  app.post(
    '/v1/chat/completions',
    {
      bodyLimit: MAX_BODY_BYTES,
      schema: {
        summary: 'Ask a bot',
        description:
          'OpenAI-compatible: `model` is a bot. With `stream` the answer comes as server-sent events that end with `[DONE]`; a failure on the way is one `error` object and no `[DONE]`.',
        tags: ['Chat'],
        body: chatCompletionBody,
        response: {
          200: {
            description: 'The answer.',
            content: {
              'application/json': { schema: chatCompletion },
              'text/event-stream': { schema: chatCompletionChunk },
            },
          },
        },
      },
    },
    async (request, reply): Promise<ChatCompletion | undefined> => {
      const { body } = request;
      const bot = await findModel(request, body.model);
      const answer = answerRequestOf(body, {
        bot,
        keyId: principalOf(request).keyId,
        cacheHeader: headerOf(request, 'x-chatsphere-cache'),
      });
      const frame = { model: body.model, created: Math.floor(clock.now() / 1000) };
      const asked = { request, reply, answer, frame };
      if (body.stream !== true) return complete(asked);
      await stream(asked, body);
      return undefined;
    },
  );

  async function findModel(request: FastifyRequest, model: string): Promise<Bot> {
    try {
      return await findBot(store, request, model);
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'bot_not_found') throw error;
      const message = 'model: There is no such bot, or this API key may not use it. List yours: GET /v1/models.';
      throw new AppError('model_not_found', message, { param: 'model' });
    }
  }

  function overheadOf(request: FastifyRequest): number {
    return Math.max(0, clock.now() - request.receivedAt);
  }

  async function complete({ request, reply, answer, frame }: Asked): Promise<ChatCompletion> {
    const overhead = overheadOf(request);
    let start: AnswerStart | null = null;
    let end: AnswerEnd | null = null;
    let text = '';
    const toolCalls = createToolCallCollector();
    for await (const event of answerer.answer(answer, signalOfClient(reply), usageCounterOf(request))) {
      if (event.type === 'start') start = event;
      else if (event.type === 'end') end = event;
      else if (event.type === 'tool-call-delta') toolCalls.add(event);
      else text += event.text;
    }
    if (start === null || end === null) throw endedEarly();
    reply.headers(answerHeaders(start, overhead));
    return toChatCompletion(frame, { start, text, toolCalls: toolCalls.calls(), end });
  }

  async function stream(asked: Asked, body: ChatCompletionBody): Promise<void> {
    const { request, reply } = asked;
    const events = createEventStream(reply, clock);
    try {
      await relay(asked, events, body.stream_options?.include_usage === true);
      await events.send({ data: '[DONE]' });
    } catch (thrown) {
      if (!events.isOpen()) throw thrown;
      const error = toAppError(thrown);
      logFailure(logger, error, request);
      if (!events.signal.aborted) await events.send({ data: toLine(toWireError(error, request.id)) }).catch(() => {});
    } finally {
      events.close();
    }
  }

  async function relay({ request, answer, frame }: Asked, events: EventStream, includeUsage: boolean): Promise<void> {
    const overhead = overheadOf(request);
    const send = (chunk: ChatCompletionChunk): Promise<void> => events.send({ data: toLine(chunk) });
    let chunks: ReturnType<typeof createChunkMaker> | null = null;
    let ended = false;
    for await (const event of answerer.answer(answer, events.signal, usageCounterOf(request))) {
      if (event.type === 'start') {
        chunks = createChunkMaker(frame, event, includeUsage);
        events.open(answerHeaders(event, overhead));
        await send(chunks.begin());
      } else if (chunks === null) {
        throw endedEarly();
      } else if (event.type === 'text-delta') {
        await send(chunks.text(event.text));
      } else if (event.type === 'tool-call-delta') {
        await send(chunks.toolCall(event));
      } else {
        ended = true;
        await send(chunks.end(event));
        if (includeUsage) await send(chunks.usage(event));
      }
    }
    if (!ended) throw endedEarly();
  }
}

/** Keeps what counts for the key's limit current: it is taken when the connection closes, whoever closes it. */
function usageCounterOf(request: FastifyRequest): NonNullable<Parameters<Answerer['answer']>[2]> {
  return ({ inputTokens, outputTokens }) => {
    request.usedTokens = inputTokens + outputTokens;
  };
}

function endedEarly(): AppError {
  return new AppError('stream_interrupted', 'The answer broke off. Ask again.', { retryable: true });
}
