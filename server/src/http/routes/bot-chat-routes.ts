import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { AnswerRequest } from '../../chat/index.ts';
import { AppError } from '../../kernel/index.ts';
import type { Bot } from '../../store/index.ts';
import { relayAnswer, relayBegun, usageCounterOf } from '../answer-relay.ts';
import { botParams, type UIChatBody, uiChatBody, uiChatParams, uiMessageChunk } from '../contract/index.ts';
import { createEventStreams } from '../event-stream.ts';
import type { HttpParts } from '../http-app-options.ts';
import { streamClaimOf } from '../idempotency.ts';
import { createUIMessageEncoder } from '../mappers/ui-message-encoder.ts';
import { findBot } from '../owned.ts';
import { headerOf, principalOf, signalOfClient } from '../request-context.ts';
import type { ZodApp } from '../zod-app.ts';

const MAX_BODY_BYTES = 2 * 1024 * 1024;
const tags = ['Chat'];
const stream = {
  200: { description: 'The answer, in parts.', content: { 'text/event-stream': { schema: uiMessageChunk } } },
};

/** The same answers for `useChat` of the Vercel AI SDK. */
export function addBotChatRoutes(app: ZodApp, { store, streams, clock, logger }: HttpParts): void {
  const eventStreams = createEventStreams(clock);
  app.post(
    '/v1/bots/:bot/chat',
    {
      bodyLimit: MAX_BODY_BYTES,
      schema: {
        summary: 'Ask a bot from useChat',
        description:
          'Takes what the Vercel AI SDK’s `DefaultChatTransport` sends and answers as a UI message stream. With `conversation` only the last message is read, and what was said before is the server’s own.',
        tags,
        params: botParams,
        body: uiChatBody,
        response: stream,
      },
    },
    async (request, reply) => {
      const overheadMs = Math.max(0, clock.now() - request.receivedAt);
      const { body } = request;
      const bot = await findBot(store, request, request.params.bot);
      const { keyId } = principalOf(request);
      const claim = streamClaimOf(request);
      const begun = await streams.begin({
        answer: { ...answerRequestOf(body, bot, keyId), ...(isCacheOff(request) ? { cache: 'off' } : {}) },
        model: request.params.bot,
        isResumable: body.resumable === true,
        reportUsage: usageCounterOf(request),
        ...(claim === null ? {} : { claim, signal: signalOfClient(reply) }),
        ...(body.id === undefined ? {} : { chatKey: chatKeyOf(keyId, body.id) }),
      });
      const encoder = createUIMessageEncoder(begun.stream.about.id);
      await relayBegun({ request, reply, encoder, after: 0, overheadMs, ...begun }, { eventStreams, logger });
    },
  );

  app.get(
    '/v1/bots/:bot/chat/:chat/stream',
    {
      exposeHeadRoute: false,
      schema: {
        summary: 'Resume the live answer of a chat',
        description: 'For `resumeStream` of `useChat`: the whole answer again, from its start. 204 when none is live.',
        tags,
        params: uiChatParams,
        response: { ...stream, 204: z.null().describe('No answer is live.') },
      },
    },
    async (request, reply) => {
      const bot = await findBot(store, request, request.params.bot);
      const chatKey = chatKeyOf(principalOf(request).keyId, request.params.chat);
      const live = await streams.ofChat(bot, chatKey, usageCounterOf(request));
      if (live === null) {
        reply.code(204).send(null);
        return;
      }
      const encoder = createUIMessageEncoder(live.about.id);
      await relayAnswer({ request, reply, stream: live, encoder, after: 0, overheadMs: 0 }, { eventStreams, logger });
    },
  );
}

function isCacheOff(request: FastifyRequest): boolean {
  return headerOf(request, 'x-chatsphere-cache')?.trim().toLowerCase() === 'off';
}

function chatKeyOf(keyId: string | null, chat: string): string {
  return JSON.stringify([keyId, chat]);
}

function answerRequestOf(body: UIChatBody, bot: Bot, keyId: string | null): AnswerRequest {
  const messages = body.messages.flatMap(({ role, parts }): AnswerRequest['messages'][number][] => {
    const content = parts.flatMap((part) => (isText(part) ? [part.text] : [])).join('\n');
    return content === '' && role !== 'user' ? [] : [{ role, content }];
  });
  const question = messages.at(-1);
  if (question?.role !== 'user' || question.content.trim() === '') {
    const message = 'messages: The last message must be of role "user" and hold the question in a part of text.';
    throw new AppError('invalid_request', message, { param: 'messages' });
  }
  return {
    bot,
    messages,
    ...(body.conversation === undefined || body.conversation === null ? {} : { conversation: body.conversation }),
    ...(typeof body.user === 'string' ? { endUser: body.user } : {}),
    ...(keyId === null ? {} : { keyId }),
    ...(typeof body.temperature === 'number' ? { temperature: body.temperature } : {}),
    ...(typeof body.max_tokens === 'number' ? { maxOutputTokens: body.max_tokens } : {}),
  };
}

function isText(part: UIChatBody['messages'][number]['parts'][number]): part is { type: 'text'; text: string } {
  return part.type === 'text' && typeof part['text'] === 'string';
}
