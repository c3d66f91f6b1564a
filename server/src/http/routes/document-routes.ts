import { chunkQuery, idParams, listOf, wireChunk, wireDocumentWithText } from '../contract/index.ts';
import type { HttpParts } from '../http-app-options.ts';
import { toWireChunk, toWireDocumentWithText } from '../mappers/document.ts';
import { findDocument } from '../owned.ts';
import { pageRequestOf, toWirePage } from '../pages.ts';
import type { ZodApp } from '../zod-app.ts';

const tags = ['Documents'];

/** The stored text that citations point into, and how it was cut. */
export function addDocumentRoutes(app: ZodApp, { store }: HttpParts): void {
  app.get(
    '/v1/documents/:id',
    {
      schema: {
        summary: 'Get a document with its stored text',
        tags,
        params: idParams,
        response: { 200: wireDocumentWithText },
      },
    },
    async (request) => toWireDocumentWithText(await findDocument(store, request, request.params.id)),
  );

  app.get(
    '/v1/documents/:id/chunks',
    {
      schema: {
        summary: 'List the chunks of a document',
        tags,
        params: idParams,
        querystring: chunkQuery,
        response: { 200: listOf(wireChunk) },
      },
    },
    async (request) => {
      const document = await findDocument(store, request, request.params.id);
      const { chunks } = store.forTenant(document.tenantId);
      return toWirePage(await chunks.list(document.id, pageRequestOf(request.query)), toWireChunk);
    },
  );
}
