import type { FastifyRequest } from 'fastify';
import { AppError } from '../../kernel/index.ts';
import {
  conversationQuery,
  deleted,
  idParams,
  listOf,
  listQuery,
  wireConversation,
  wireMessage,
} from '../contract/index.ts';
import type { HttpParts } from '../http-app-options.ts';
import { toWireConversation, toWireMessage } from '../mappers/conversation.ts';
import { findBot, findConversation } from '../owned.ts';
import { pageRequestOf, toWirePage } from '../pages.ts';
import { principalOf } from '../request-context.ts';
import type { ZodApp } from '../zod-app.ts';

const tags = ['Conversations'];

/** What was asked and answered. */
export function addConversationRoutes(app: ZodApp, { store }: HttpParts): void {
  /** The one bot whose conversations are meant; null: every bot of the tenant. */
  async function botIdOf(request: FastifyRequest, named: string | undefined): Promise<string | null> {
    if (named !== undefined) return (await findBot(store, request, named)).id;
    const { bots } = principalOf(request);
    if (bots === null) return null;
    const [only, another] = bots;
    if (only !== undefined && another === undefined) return only;
    throw new AppError('invalid_request', 'bot: This API key is bound to several bots. Name one of them.', {
      param: 'bot',
    });
  }

  app.get(
    '/v1/conversations',
    {
      schema: {
        summary: 'List conversations',
        tags,
        querystring: conversationQuery,
        response: { 200: listOf(wireConversation) },
      },
    },
    async (request) => {
      const { bot, user, ...page } = request.query;
      const botId = await botIdOf(request, bot);
      const found = await store.forTenant(principalOf(request).tenantId).conversations.list({
        ...pageRequestOf(page),
        ...(botId === null ? {} : { botId }),
        ...(user === undefined ? {} : { endUser: user }),
      });
      return toWirePage(found, toWireConversation);
    },
  );

  app.get(
    '/v1/conversations/:id',
    { schema: { summary: 'Get a conversation', tags, params: idParams, response: { 200: wireConversation } } },
    async (request) => toWireConversation(await findConversation(store, request, request.params.id)),
  );

  app.delete(
    '/v1/conversations/:id',
    {
      schema: {
        summary: 'Delete a conversation and its messages',
        tags,
        params: idParams,
        response: { 200: deleted('conversation') },
      },
    },
    async (request) => {
      const { id, tenantId } = await findConversation(store, request, request.params.id);
      await store.forTenant(tenantId).conversations.delete(id);
      return { id, object: 'conversation.deleted' as const, deleted: true as const };
    },
  );

  app.get(
    '/v1/conversations/:id/messages',
    {
      schema: {
        summary: 'List the messages of a conversation',
        tags,
        params: idParams,
        querystring: listQuery('msg'),
        response: { 200: listOf(wireMessage) },
      },
    },
    async (request) => {
      const { id, tenantId } = await findConversation(store, request, request.params.id);
      const page = await store.forTenant(tenantId).messages.list(id, pageRequestOf(request.query));
      return toWirePage(page, toWireMessage);
    },
  );
}
