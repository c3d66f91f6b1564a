import { checkPrompt, type PromptPreview } from '../../chat/index.ts';
import {
  botParams,
  type PromptPreviewBody,
  promptPreviewBody,
  type WirePromptPreview,
  wirePromptPreview,
} from '../contract/index.ts';
import type { HttpParts } from '../http-app-options.ts';
import { chatMessagesOf } from '../mappers/chat-messages.ts';
import { findBot } from '../owned.ts';
import { principalOf, signalOfClient } from '../request-context.ts';
import type { ZodApp } from '../zod-app.ts';

const MAX_BODY_BYTES = 2 * 1024 * 1024;

/** What a bot would send to its model. */
export function addPromptRoutes(app: ZodApp, { store, prompts }: HttpParts): void {
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
        bot: body.prompt === undefined ? bot : { ...bot, prompt: checkPrompt(body.prompt) },
        messages: messagesOf(body),
        ...(body.conversation === undefined ? {} : { conversation: body.conversation }),
        ...(body.user === undefined ? {} : { endUser: body.user }),
        ...(keyId === null ? {} : { keyId }),
      };
      return toWirePreview(bot.id, await prompts.preview(asked, signalOfClient(reply)));
    },
  );
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
