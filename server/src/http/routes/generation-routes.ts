import { AppError } from '../../kernel/index.ts';
import type { Bot, Generation } from '../../store/index.ts';
import type { Generations } from '../../training/index.ts';
import {
  botObjectParams,
  botParams,
  deleted,
  listOf,
  listQuery,
  type NewGoldenQuestionBody,
  newGeneration,
  newGoldenQuestion,
  wireGeneration,
  wireGoldenQuestion,
} from '../contract/index.ts';
import type { HttpParts } from '../http-app-options.ts';
import { generationRequestOf, toWireGeneration, toWireGoldenQuestion } from '../mappers/generation.ts';
import { findBot } from '../owned.ts';
import { pageRequestOf, toWirePage } from '../pages.ts';
import { signalOfClient } from '../request-context.ts';
import type { ZodApp } from '../zod-app.ts';

const tags = ['Index generations'];

/** A bot's index generations: another embedder, another way to cut, back to the one before. */
export function addGenerationRoutes(app: ZodApp, parts: HttpParts): void {
  const { store } = parts;

  app.get(
    '/v1/bots/:bot/generations',
    {
      schema: {
        summary: "List a bot's index generations",
        tags,
        params: botParams,
        querystring: listQuery('gen'),
        response: { 200: listOf(wireGeneration) },
      },
    },
    async (request) => {
      const bot = await findBot(store, request, request.params.bot);
      const page = await store.forTenant(bot.tenantId).generations.list(bot.id, pageRequestOf(request.query));
      return toWirePage(page, toWireGeneration);
    },
  );

  app.post(
    '/v1/bots/:bot/generations',
    {
      schema: {
        summary: 'Build an index generation',
        description:
          'With another embedder, other dimensions or another way to cut content. The one before answers meanwhile and is kept to go back to.',
        tags,
        params: botParams,
        body: newGeneration,
        response: { 202: wireGeneration },
      },
    },
    async (request, reply) => {
      const bot = await findBot(store, request, request.params.bot);
      const wanted = generationRequestOf(request.body, parts.chunkingModules);
      const generation = await generationsOf(parts).request(bot, wanted, signalOfClient(reply));
      return reply.code(202).send(toWireGeneration(generation));
    },
  );

  app.get(
    '/v1/bots/:bot/generations/:id',
    {
      schema: {
        summary: 'Get an index generation: its state, progress and comparison',
        tags,
        params: botObjectParams,
        response: { 200: wireGeneration },
      },
    },
    async (request) => {
      const bot = await findBot(store, request, request.params.bot);
      return toWireGeneration(await findGeneration(parts, bot, request.params.id));
    },
  );

  app.post(
    '/v1/bots/:bot/generations/:id/activate',
    {
      schema: {
        summary: 'Let an index generation answer',
        description: 'A complete one answers at once. One that lacks content is completed first, and answers then.',
        tags,
        params: botObjectParams,
        response: { 200: wireGeneration, 202: wireGeneration },
      },
    },
    async (request, reply) => {
      const bot = await findBot(store, request, request.params.bot);
      const generation = await generationsOf(parts).activate(bot, request.params.id, signalOfClient(reply));
      return reply.code(generation.state.type === 'active' ? 200 : 202).send(toWireGeneration(generation));
    },
  );

  app.post(
    '/v1/bots/:bot/generations/rollback',
    {
      schema: {
        summary: 'Let the index generation before answer again',
        tags,
        params: botParams,
        response: { 200: wireGeneration, 202: wireGeneration },
      },
    },
    async (request, reply) => {
      const bot = await findBot(store, request, request.params.bot);
      const generation = await generationsOf(parts).rollBack(bot, signalOfClient(reply));
      return reply.code(generation.state.type === 'active' ? 200 : 202).send(toWireGeneration(generation));
    },
  );

  app.delete(
    '/v1/bots/:bot/generations/:id',
    {
      schema: {
        summary: 'Delete an index generation, or stop building it',
        tags,
        params: botObjectParams,
        response: { 200: deleted('generation') },
      },
    },
    async (request) => {
      const bot = await findBot(store, request, request.params.bot);
      const { id } = await findGeneration(parts, bot, request.params.id);
      if (!(await generationsOf(parts).remove(bot, id))) throw notFound(bot);
      return { id, object: 'generation.deleted' as const, deleted: true as const };
    },
  );
}

/** Questions whose right sources are known; generations are compared on them. */
export function addGoldenQuestionRoutes(app: ZodApp, { store, createId, clock }: HttpParts): void {
  app.post(
    '/v1/bots/:bot/golden_questions',
    {
      schema: {
        summary: 'Add a question whose right sources are known',
        tags,
        params: botParams,
        body: newGoldenQuestion,
        response: { 201: wireGoldenQuestion },
      },
    },
    async (request, reply) => {
      const bot = await findBot(store, request, request.params.bot);
      const { question } = request.body;
      const added = {
        id: createId('gold'),
        botId: bot.id,
        question,
        expected: expectedOf(request.body),
        createdAt: clock.now(),
      };
      await store.forTenant(bot.tenantId).goldenQuestions.create(added);
      return reply.code(201).send(toWireGoldenQuestion({ ...added, tenantId: bot.tenantId }));
    },
  );

  app.get(
    '/v1/bots/:bot/golden_questions',
    {
      schema: {
        summary: 'List the questions whose right sources are known',
        tags,
        params: botParams,
        querystring: listQuery('gold'),
        response: { 200: listOf(wireGoldenQuestion) },
      },
    },
    async (request) => {
      const bot = await findBot(store, request, request.params.bot);
      const page = await store.forTenant(bot.tenantId).goldenQuestions.list(bot.id, pageRequestOf(request.query));
      return toWirePage(page, toWireGoldenQuestion);
    },
  );

  app.delete(
    '/v1/bots/:bot/golden_questions/:id',
    {
      schema: {
        summary: 'Delete a golden question',
        tags,
        params: botObjectParams,
        response: { 200: deleted('golden_question') },
      },
    },
    async (request) => {
      const bot = await findBot(store, request, request.params.bot);
      const { id } = request.params;
      if (await store.forTenant(bot.tenantId).goldenQuestions.delete(bot.id, id)) {
        return { id, object: 'golden_question.deleted' as const, deleted: true as const };
      }
      throw new AppError('golden_question_not_found', 'The bot has no such golden question.');
    },
  );
}

function expectedOf(body: NewGoldenQuestionBody) {
  const { expected_external_keys: externalKeys, expected_source_ids: sourceIds, expected_text: text } = body;
  return {
    ...(externalKeys === undefined ? {} : { externalKeys }),
    ...(sourceIds === undefined ? {} : { sourceIds }),
    ...(text === undefined ? {} : { text }),
  };
}

function generationsOf({ generations }: HttpParts): Generations {
  if (generations !== undefined) return generations;
  throw new AppError('internal_error', 'This server has no part that builds generations.');
}

async function findGeneration({ store }: HttpParts, bot: Bot, id: string): Promise<Generation> {
  const generation = await store.forTenant(bot.tenantId).generations.get(bot.id, id);
  if (generation !== null) return generation;
  throw notFound(bot);
}

function notFound({ slug }: Bot): AppError {
  return new AppError(
    'generation_not_found',
    `This bot has no such generation. List them: GET /v1/bots/${slug}/generations.`,
  );
}
