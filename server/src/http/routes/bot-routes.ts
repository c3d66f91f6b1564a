import { AppError } from '../../kernel/index.ts';
import type { Principal } from '../../security/index.ts';
import type { Bot, Page, PageRequest } from '../../store/index.ts';
import { slugOf } from '../bot-slug.ts';
import {
  type BotChangesBody,
  botChanges,
  botParams,
  deletedContent,
  listOf,
  listQuery,
  type NewBotBody,
  newBot,
  wireBot,
} from '../contract/index.ts';
import type { HttpParts } from '../http-app-options.ts';
import { botSettingsOf } from '../mappers/bot.ts';
import { botModelsOf } from '../mappers/bot-models.ts';
import { findBot } from '../owned.ts';
import { pageOfAll, pageRequestOf, toWirePage } from '../pages.ts';
import { presentBot, presentBots } from '../present-bot.ts';
import { keepPrompt, resolvePrompt } from '../prompt-versions.ts';
import { principalOf } from '../request-context.ts';
import type { ZodApp } from '../zod-app.ts';

const tags = ['Bots'];
const NUMBERED_SLUGS = 20;

/** Bots: what a customer trains and visitors talk to. */
export function addBotRoutes(app: ZodApp, parts: HttpParts): void {
  const { store, trainer, clock } = parts;

  app.post(
    '/v1/bots',
    { schema: { summary: 'Create a bot', tags, body: newBot, response: { 201: wireBot } } },
    async (request, reply) => {
      const principal = principalOf(request);
      if (principal.bots !== null) {
        throw new AppError('insufficient_scope', 'This API key is bound to certain bots and cannot make others.');
      }
      return reply.code(201).send(await presentBot(parts, await createBot(parts, principal.tenantId, request.body)));
    },
  );

  app.get(
    '/v1/bots',
    { schema: { summary: 'List bots', tags, querystring: listQuery('bot'), response: { 200: listOf(wireBot) } } },
    async (request) => {
      const principal = principalOf(request);
      const page = await listBots(parts, principal, pageRequestOf(request.query));
      return toWirePage(await presentBots(parts, principal.tenantId, page), (bot) => bot);
    },
  );

  app.get(
    '/v1/bots/:bot',
    { schema: { summary: 'Get a bot', tags, params: botParams, response: { 200: wireBot } } },
    async (request) => presentBot(parts, await findBot(store, request, request.params.bot)),
  );

  app.patch(
    '/v1/bots/:bot',
    { schema: { summary: 'Change a bot', tags, params: botParams, body: botChanges, response: { 200: wireBot } } },
    async (request) => {
      const bot = await findBot(store, request, request.params.bot);
      requireAvailable(request.body, parts);
      const { name, slug } = request.body;
      const { chunking, ...settings } = botSettingsOf(await withPrompt(bot, request.body), parts.chunkingModules);
      const changes = {
        ...settings,
        ...(name === undefined ? {} : { name }),
        ...(slug === undefined ? {} : { slug }),
        updatedAt: clock.now(),
      };
      const { bots } = store.forTenant(bot.tenantId);
      // First what can be refused: a slug that is taken must not leave a generation being built.
      let changed = await bots.update(bot.id, changes);
      if (chunking !== undefined) {
        await cutAnew(bot, chunking);
        changed = await bots.update(bot.id, { chunking, updatedAt: clock.now() });
      }
      const now = changed ?? (await findBot(store, request, bot.id));
      // The one before, too: it may be from a time when versions were not kept.
      if (request.body.prompt !== undefined) for (const each of [bot, now]) await keepPrompt(parts, each);
      return presentBot(parts, now);
    },
  );

  async function withPrompt(bot: Bot, { prompt, ...rest }: BotChangesBody) {
    return prompt === undefined ? rest : { ...rest, prompt: await resolvePrompt(store, bot, prompt) };
  }

  /** Content that is there already is cut in the new way by a generation of its own, while the old one answers. */
  async function cutAnew(bot: Bot, chunking: Bot['chunking']): Promise<void> {
    if (chunking === undefined || parts.generations === undefined) return;
    if ((await store.forTenant(bot.tenantId).generations.active(bot.id)) === null) return;
    try {
      await parts.generations.request(bot, { chunking: chunking ?? { type: 'auto' } });
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'generation_not_usable') throw error;
    }
  }

  app.delete(
    '/v1/bots/:bot',
    {
      schema: {
        summary: 'Delete a bot with all of its content and conversations',
        tags,
        params: botParams,
        response: { 200: deletedContent('bot') },
      },
    },
    async (request) => {
      const bot = await findBot(store, request, request.params.bot);
      const receipt = await trainer.removeBot(bot);
      if (receipt === null) throw new AppError('bot_not_found', 'The bot was deleted by another request.');
      return { id: bot.id, object: 'bot.deleted' as const, deleted: true as const, receipt: { ...receipt } };
    },
  );
}

/** The bots that a key may use; those of a bound key are few. */
export async function listBots(
  { store }: Pick<HttpParts, 'store'>,
  principal: Principal,
  page: PageRequest,
): Promise<Page<Bot>> {
  const { bots } = store.forTenant(principal.tenantId);
  if (principal.bots === null) return bots.list(page);
  const found = await Promise.all([...principal.bots].map((id) => bots.get(id)));
  return pageOfAll(
    found.filter((bot) => bot !== null),
    page,
  );
}

async function createBot(parts: HttpParts, tenantId: string, body: NewBotBody): Promise<Bot> {
  requireAvailable(body, parts);
  const now = parts.clock.now();
  const { prompt, ...rest } = body;
  const bot = {
    id: parts.createId('bot'),
    name: body.name,
    instructions: null,
    model: null,
    temperature: null,
    maxOutputTokens: null,
    refusalMessage: null,
    retrieval: {},
    privacy: { pii: 'off' as const },
    metadata: {},
    ...botSettingsOf(rest, parts.chunkingModules),
    ...(prompt === undefined ? {} : { prompt: await resolvePrompt(parts.store, null, prompt) }),
    createdAt: now,
    updatedAt: now,
  };
  const { bots } = parts.store.forTenant(tenantId);
  for (const slug of slugsFor(body, bot.id)) {
    try {
      await bots.create({ ...bot, slug });
      await keepPrompt(parts, { ...bot, tenantId, slug });
      return { ...bot, tenantId, slug };
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'slug_taken') throw error;
    }
  }
  throw new AppError('slug_taken', `slug: Another bot has the slug "${body.slug}". Choose another.`, { param: 'slug' });
}

/** The slug that was given, or those to try for the name: plain, numbered, and at last one that nobody can have. */
function* slugsFor(body: NewBotBody, id: string): Generator<string> {
  if (body.slug !== undefined) {
    yield body.slug;
    return;
  }
  const slug = slugOf(body.name);
  yield slug;
  for (let number = 2; number <= NUMBERED_SLUGS; number += 1) yield `${slug}-${number}`;
  yield `${slug.slice(0, 36)}-${id.slice(4)}`;
}

/** A privacy setting that is not in force must not seem to be. */
function requireAvailable(body: BotChangesBody, { requireModels }: Pick<HttpParts, 'requireModels'>): void {
  const { model = null, models } = botModelsOf(body);
  if (model !== null) requireModels?.({ model, ...(models === undefined ? {} : { models }) });
  if (body.privacy === undefined || body.privacy.pii === 'off') return;
  throw new AppError(
    'invalid_request',
    'privacy.pii: This version cannot mask personal data yet. Use "off" or leave it out.',
    { param: 'privacy.pii' },
  );
}
