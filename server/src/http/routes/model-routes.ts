import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { AppError } from '../../kernel/index.ts';
import type { Bot } from '../../store/index.ts';
import { idParams, type WireModel, wireModel, wireModels } from '../contract/index.ts';
import type { HttpParts } from '../http-app-options.ts';
import { toSeconds } from '../mappers/time.ts';
import { findBot } from '../owned.ts';
import { principalOf } from '../request-context.ts';
import type { ZodApp } from '../zod-app.ts';
import { listBots } from './bot-routes.ts';
import { isEmbedder } from './embedding-routes.ts';

const tags = ['Models'];

/** OpenAI's models: the caller's bots, by slug, and the embedder. */
export function addModelRoutes(app: ZodApp, parts: HttpParts): void {
  const { store, embeddings } = parts;
  const embedder = (id: string): WireModel => ({ id, object: 'model', created: 0, owned_by: 'chatsphere' });

  async function allBots(request: FastifyRequest): Promise<readonly Bot[]> {
    const bots: Bot[] = [];
    for (;;) {
      const after = bots.at(-1)?.id;
      const page = await listBots(parts, principalOf(request), {
        limit: 100,
        order: 'asc',
        ...(after === undefined ? {} : { after }),
      });
      bots.push(...page.items);
      if (!page.hasMore) return bots;
    }
  }

  async function findModel(request: FastifyRequest, id: string): Promise<WireModel> {
    if (isEmbedder(embeddings, id)) return embedder(id);
    try {
      return toWireModel(await findBot(store, request, id), id);
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'bot_not_found') throw error;
      throw new AppError('model_not_found', 'There is no such model. List them: GET /v1/models.', { param: 'model' });
    }
  }

  app.get(
    '/v1/models',
    { schema: { summary: 'List models: bots and embedders', tags, response: { 200: wireModels } } },
    async (request) => ({
      object: 'list' as const,
      data: [...(await allBots(request)).map((bot) => toWireModel(bot, bot.slug)), embedder(embeddings.profile.id)],
    }),
  );

  app.get(
    '/v1/models/:id',
    { schema: { summary: 'Get a model', tags, params: idParams, response: { 200: wireModel } } },
    async (request) => findModel(request, request.params.id),
  );

  // Ids of embedders hold a slash, which not every client encodes.
  app.get(
    '/v1/models/*',
    { schema: { hide: true, params: z.strictObject({ '*': z.string().max(200) }), response: { 200: wireModel } } },
    async (request) => findModel(request, request.params['*']),
  );
}

function toWireModel(bot: Bot, id: string): WireModel {
  return { id, object: 'model', created: toSeconds(bot.createdAt), owned_by: bot.tenantId };
}
