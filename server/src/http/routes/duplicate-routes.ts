import type { DuplicateDocuments } from '../../training/index.ts';
import { botParams, listOf, listQuery, type WireDuplicateGroup, wireDuplicateGroup } from '../contract/index.ts';
import type { HttpParts } from '../http-app-options.ts';
import { findBot } from '../owned.ts';
import { pageOfAll, pageRequestOf, toWirePage } from '../pages.ts';
import { signalOfClient } from '../request-context.ts';
import type { ZodApp } from '../zod-app.ts';

/** What a bot was trained on twice. */
export function addDuplicateRoutes(app: ZodApp, { store, duplicates }: HttpParts): void {
  app.get(
    '/v1/bots/:bot/duplicates',
    {
      schema: {
        summary: 'List documents that say the same',
        description:
          'Groups of documents whose texts are equal or nearly equal (estimated similarity 0.8 and above), by their oldest one.',
        tags: ['Sources'],
        params: botParams,
        querystring: listQuery('doc'),
        response: { 200: listOf(wireDuplicateGroup) },
      },
    },
    async (request, reply) => {
      const bot = await findBot(store, request, request.params.bot);
      const groups = await duplicates.find(bot, signalOfClient(reply));
      return toWirePage(pageOfAll(groups, pageRequestOf(request.query)), toWireGroup);
    },
  );
}

function toWireGroup({ id, count, similarity, documents }: DuplicateDocuments): WireDuplicateGroup {
  return {
    id,
    object: 'duplicate_group',
    count,
    similarity,
    documents: documents.map((document) => ({
      document_id: document.id,
      source_id: document.sourceId,
      external_key: document.externalKey,
      title: document.title,
      url: document.url,
      similarity: document.similarity,
    })),
  };
}
