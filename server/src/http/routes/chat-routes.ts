import type { FastifyReply, FastifyRequest } from 'fastify';
import { type AnswerRequest, createToolCallCollector } from '../../chat/index.ts';
import { AppError } from '../../kernel/index.ts';
import type { Bot } from '../../store/index.ts';
import { relayBegun, usageCounterOf } from '../answer-relay.ts';
import {
  type ChatCompletion,
  type ChatCompletionBody,
  chatCompletion,
  chatCompletionBody,
  chatCompletionChunk,
} from '../contract/index.ts';
import { createEventStreams } from '../event-stream.ts';
import type { HttpParts } from '../http-app-options.ts';
import { streamClaimOf } from '../idempotency.ts';
import {
  type AnswerEnd,
  type AnswerStart,
  answerHeaders,
  answerRequestOf,
  type CompletionFrame,
  toChatCompletion,
} from '../mappers/chat-completion.ts';
import { createCompletionEncoder } from '../mappers/completion-encoder.ts';
import { toSeconds } from '../mappers/time.ts';
import { findBot } from '../owned.ts';
import { abortOfClient, headerOf, principalOf, signalOfClient } from '../request-context.ts';
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
export function addChatRoutes(app: ZodApp, { store, answerer, streams, clock, logger }: HttpParts): void {
  const eventStreams = createEventStreams(clock);
  app.post(
    '/v1/chat/completions',
    {
      bodyLimit: MAX_BODY_BYTES,
      schema: {
        summary: 'Ask a bot',
        description:
          'OpenAI-compatible: `model` is a bot. With `stream` the answer comes as server-sent events that end with `[DONE]`; a failure on the way is one `error` object and no `[DONE]`. Every event has an `id`, the number for `GET /v1/messages/{id}/stream?after=N`; the message is the `id` of the chunks and `x-chatsphere-message`.',
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
    const client = abortOfClient(reply);
    const leave = streams.enter((reason) => client.abort(reason));
    try {
      for await (const event of answerer.answer(
        { ...answer, wholeAnswer: true },
        client.signal,
        usageCounterOf(request),
      )) {
        if (event.type === 'start') start = event;
        else if (event.type === 'end') end = event;
        else if (event.type === 'tool-call-delta') toolCalls.add(event);
        else text += event.text;
      }
    } finally {
      leave();
    }
    if (start === null || end === null) throw endedEarly();
    reply.headers(answerHeaders(start, overhead));
    return toChatCompletion(frame, { start, text, toolCalls: toolCalls.calls(), end });
  }

  async function stream({ request, reply, answer, frame }: Asked, body: ChatCompletionBody): Promise<void> {
    const overheadMs = overheadOf(request);
    const claim = streamClaimOf(request);
    const begun = await streams.begin({
      answer,
      model: body.model,
      isResumable: body.resumable === true,
      reportUsage: usageCounterOf(request),
      ...(claim === null ? {} : { claim, signal: signalOfClient(reply) }),
    });
    const encoder = createCompletionEncoder({
      id: begun.stream.about.id,
      model: frame.model,
      created: toSeconds(begun.stream.about.createdAt),
      includeUsage: body.stream_options?.include_usage === true,
    });
    await relayBegun({ request, reply, encoder, after: 0, overheadMs, ...begun }, { eventStreams, logger });
  }
}

function endedEarly(): AppError {
  return new AppError('stream_interrupted', 'The answer broke off. Ask again.', { retryable: true });
}
