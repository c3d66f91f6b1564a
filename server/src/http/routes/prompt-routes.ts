import { type PromptPreview, templateOf } from '../../chat/index.ts';
import type { Bot, PromptVersion } from '../../store/index.ts';
import {
  botParams,
  listOf,
  listQuery,
  type PromptPreviewBody,
  promptPreviewBody,
  type WirePromptPreview,
  type WirePromptVersion,
  wirePromptPreview,
  wirePromptVersion,
} from '../contract/index.ts';
import type { HttpParts } from '../http-app-options.ts';
import { chatMessagesOf } from '../mappers/chat-messages.ts';
import { toSeconds } from '../mappers/time.ts';
import { findBot } from '../owned.ts';
import { pageRequestOf, toWirePage } from '../pages.ts';
import { resolvePrompt } from '../prompt-versions.ts';
import { principalOf, signalOfClient } from '../request-context.ts';
import type { ZodApp } from '../zod-app.ts';

const MAX_BODY_BYTES = 2 * 1024 * 1024;

/** What a bot would send to its model. */
export function addPromptRoutes(app: ZodApp, { store, prompts }: HttpParts): void {
  app.get(
    '/v1/bots/:bot/prompts',
    {
      schema: {
        summary: 'List the versions of a bot’s prompt',
        description:
          'Every prompt that the bot has or had, each once. To go back to one, send `{"prompt": {"version": "..."}}` with `PATCH /v1/bots/{bot}`; to look at it first, with `prompt_preview`.',
        tags: ['Bots'],
        params: botParams,
        querystring: listQuery('prm'),
        response: { 200: listOf(wirePromptVersion) },
      },
    },
    async (request) => {
      const bot = await findBot(store, request, request.params.bot);
      const page = await store.forTenant(bot.tenantId).promptVersions.list(bot.id, pageRequestOf(request.query));
      return toWirePage(page, (version) => toWireVersion(bot, version));
    },
  );

  app.post(
    '/v1/bots/:bot/prompt_preview',
    {
      bodyLimit: MAX_BODY_BYTES,
      schema: {
        summary: 'Show what would be sent to the model',
        description:
          'The messages of an answer to the question, the template with its variables, the passages and their tokens. No model is called and nothing is stored.',
        tags: ['Bots'],
        params: botParams,
        body: promptPreviewBody,
        response: { 200: wirePromptPreview },
      },
    },
    async (request, reply): Promise<WirePromptPreview> => {
      const { body } = request;
      const bot = await findBot(store, request, request.params.bot);
      const { keyId } = principalOf(request);
      const asked = {
        bot: body.prompt === undefined ? bot : { ...bot, prompt: await resolvePrompt(store, bot, body.prompt) },
        messages: messagesOf(body),
        ...(body.conversation === undefined ? {} : { conversation: body.conversation }),
        ...(body.user === undefined ? {} : { endUser: body.user }),
        ...(keyId === null ? {} : { keyId }),
      };
      return toWirePreview(bot.id, await prompts.preview(asked, signalOfClient(reply)));
    },
  );
}

function toWireVersion(bot: Bot, kept: PromptVersion): WirePromptVersion {
  const { id, version, prompt, createdAt, chosenAt } = kept;
  return {
    ...{ id, object: 'prompt_version', bot: bot.id, version, prompt },
    active: bot.prompt !== undefined && bot.prompt !== null && templateOf(bot).version === version,
    created_at: toSeconds(createdAt),
    chosen_at: toSeconds(chosenAt),
  };
}

function messagesOf({ question, messages = [] }: PromptPreviewBody) {
  return question === undefined ? chatMessagesOf(messages) : [{ role: 'user' as const, content: question }];
}

function toWirePreview(bot: string, preview: PromptPreview): WirePromptPreview {
  return {
    object: 'prompt_preview',
    bot,
    template_version: preview.templateVersion,
    model: { id: preview.model.id, route: preview.model.route, reads_prompts: preview.model.readsPrompts },
    fixed_answer: preview.fixedAnswer,
    messages: preview.messages.map(({ role, content }) => ({ role, content })),
    variables: preview.variables,
    passages: preview.passages.map((passage) => ({
      index: passage.index,
      document_id: passage.documentId,
      title: passage.title,
      heading_path: passage.headingPath,
      text: passage.text,
      score: passage.score,
      tokens: passage.tokens,
    })),
    search_query: preview.searchQuery,
    settings: { temperature: preview.temperature, max_output_tokens: preview.maxOutputTokens },
    tokens: preview.tokens,
    degraded: preview.lexicalOnly ? ['lexical_search'] : [],
  };
}
