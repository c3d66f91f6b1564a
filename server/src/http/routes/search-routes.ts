import type { EmbeddingUse } from '../../chat/index.ts';
import { botParams, searchBody, wireSearchResults } from '../contract/index.ts';
import { recordEmbedding } from '../embedding-usage.ts';
import type { HttpParts } from '../http-app-options.ts';
import { searchRequestOf, toWireSearchHit } from '../mappers/search.ts';
import { findBot } from '../owned.ts';
import { principalOf, signalOfClient } from '../request-context.ts';
import type { ZodApp } from '../zod-app.ts';

/** Finding passages without asking a model. */
export function addSearchRoutes(app: ZodApp, parts: HttpParts): void {
  const { store, searcher } = parts;
  app.post(
    '/v1/bots/:bot/search',
    {
      schema: {
        summary: "Search a bot's content",
        tags: ['Search'],
        params: botParams,
        body: searchBody,
        response: { 200: wireSearchResults },
      },
    },
    async (request, reply) => {
      const bot = await findBot(store, request, request.params.bot);
      const onEmbedding = (use: EmbeddingUse): void =>
        recordEmbedding(parts, principalOf(request), { botId: bot.id, endUser: null, requests: 0, use });
      const query = { ...searchRequestOf(request.body), onEmbedding };
      const result = await searcher.search(bot, query, signalOfClient(reply));
      return {
        object: 'search_results.page' as const,
        search_query: result.query,
        data: result.hits.map(toWireSearchHit),
        degraded: result.lexicalOnly ? ['lexical_search'] : [],
      };
    },
  );
}
