import type { FastifyRequest } from 'fastify';
import { type AnswerStream, createStoredStream, isStreamUnavailable, type StreamAbout } from '../../chat/index.ts';
import { AppError } from '../../kernel/index.ts';
import { hasScope, type Principal } from '../../security/index.ts';
import { relayAnswer, usageCounterOf } from '../answer-relay.ts';
import {
  chatCompletionChunk,
  idParams,
  type MessageStreamQuery,
  messageStop,
  messageStreamQuery,
  wireStoppedMessage,
} from '../contract/index.ts';
import { createEventStreams } from '../event-stream.ts';
import type { HttpParts } from '../http-app-options.ts';
import type { AnswerEncoder } from '../mappers/answer-encoder.ts';
import { createCompletionEncoder } from '../mappers/completion-encoder.ts';
import { toSeconds } from '../mappers/time.ts';
import { createUIMessageEncoder } from '../mappers/ui-message-encoder.ts';
import { headerOf, principalOf } from '../request-context.ts';
import type { ZodApp } from '../zod-app.ts';

const tags = ['Chat'];

/** Answers that are being made, and were: read again from any event on, or stopped. */
export function addMessageRoutes(app: ZodApp, { store, streams, clock, logger }: HttpParts): void {
  const eventStreams = createEventStreams(clock);
  app.get(
    '/v1/messages/:id/stream',
    {
      exposeHeadRoute: false,
      schema: {
        summary: 'Follow an answer, from any event on',
        description:
          'For whoever lost the connection, and for further viewers: the events after `after` (or `Last-Event-ID`), with the same ids, live while the answer is made. Later an answer of a conversation is replayed from what is stored.',
        tags,
        params: idParams,
        querystring: messageStreamQuery,
        response: {
          200: { description: 'The events.', content: { 'text/event-stream': { schema: chatCompletionChunk } } },
        },
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      const after = Math.max(request.query.after ?? 0, lastEventIdOf(request));
      const stream = await findStream(request, id, request.query.user);
      if (stream === null) {
        throw new AppError(
          'stream_expired',
          'There is no stream of this message that this API key may read, or it is no longer kept.',
        );
      }
      const encoder = encoderOf(stream.about, request.query);
      await relayAnswer({ request, reply, stream, encoder, after, overheadMs: 0 }, { eventStreams, logger });
    },
  );

  app.post(
    '/v1/messages/:id/stop',
    {
      schema: {
        summary: 'Stop an answer',
        description:
          'Ends it for everybody who reads it, and cancels the model. What was said is stored with its conversation as incomplete; streams end with `finish_reason: "cancelled"`.',
        tags,
        params: idParams,
        body: messageStop.nullish(),
        response: { 200: wireStoppedMessage },
      },
    },
    async (request) => {
      const { id } = request.params;
      const { tenantId } = principalOf(request);
      if ((await findStream(request, id, request.body?.user ?? undefined)) === null) {
        throw new AppError('message_not_found', 'There is no such message, or this API key may not stop it.');
      }
      return { id, object: 'message.stopped' as const, stopped: await streams.stop({ tenantId, id }) };
    },
  );

  /** Null: there is none that this caller may read. What is stored can be read even when streams of others cannot be seen. */
  async function findStream(
    request: FastifyRequest,
    id: string,
    user: string | undefined,
  ): Promise<AnswerStream | null> {
    const principal = principalOf(request);
    const name = { tenantId: principal.tenantId, id };
    let unseen: unknown = null;
    const made = await streams.find(name, usageCounterOf(request)).catch((error: unknown) => {
      if (!isStreamUnavailable(error)) throw error;
      unseen = error;
      return null;
    });
    const stream = made ?? (await findStored(principal, id));
    if (stream === null && unseen !== null) throw unseen;
    return stream !== null && mayRead(principal, stream.about, user) ? stream : null;
  }

  async function findStored({ tenantId }: Principal, id: string): Promise<AnswerStream | null> {
    const tenant = store.forTenant(tenantId);
    const message = await tenant.messages.get(id);
    if (message === null || message.role !== 'assistant') return null;
    const [conversation, bot] = await Promise.all([
      tenant.conversations.get(message.conversationId),
      tenant.bots.get(message.botId),
    ]);
    if (conversation === null || bot === null) return null;
    return createStoredStream({ message, endUser: conversation.endUser, model: bot.slug });
  }
}

/**
 * As for going on with a conversation: of this tenant, with a bot that the key may use, and naming the user if it has one.
 * Whoever asked, and whoever may read conversations, need not name the user.
 */
function mayRead(principal: Principal, about: StreamAbout, user: string | undefined): boolean {
  if (about.tenantId !== principal.tenantId || principal.bots?.has(about.botId) === false) return false;
  if (about.endUser === null || about.endUser === user) return true;
  return hasScope(principal, 'bots:read') || (about.keyId !== null && about.keyId === principal.keyId);
}

function lastEventIdOf(request: FastifyRequest): number {
  const given = headerOf(request, 'last-event-id') ?? '';
  return /^\d{1,15}$/.test(given) ? Number(given) : 0;
}

function encoderOf(about: StreamAbout, query: MessageStreamQuery): AnswerEncoder {
  if (query.format === 'ui') return createUIMessageEncoder(about.id);
  return createCompletionEncoder({
    id: about.id,
    model: about.model,
    created: toSeconds(about.createdAt),
    includeUsage: query.include_usage === 'true',
  });
}
