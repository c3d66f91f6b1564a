import type { FastifyRequest } from 'fastify';
import type { z } from 'zod';
import { AppError } from '../../kernel/index.ts';
import type { SourceContent, SourceOptions } from '../../training/index.ts';
import {
  botObjectParams,
  botParams,
  byKeyParams,
  deletedContent,
  type KeyedSourceBody,
  keyedSource,
  keyedUploadFields,
  listOf,
  listQuery,
  type NewSourceBody,
  newSource,
  type UploadFields,
  uploadFields,
  uploadForm,
  wireDocument,
  wireSource,
} from '../contract/index.ts';
import type { HttpParts } from '../http-app-options.ts';
import { chunkingOf } from '../mappers/chunking.ts';
import { toWireDocument } from '../mappers/document.ts';
import { toWireSource } from '../mappers/source.ts';
import { findBot, findSource } from '../owned.ts';
import { pageRequestOf, toWirePage } from '../pages.ts';
import { drainUpload, readUpload, type Upload } from '../upload.ts';
import type { ZodApp } from '../zod-app.ts';

const tags = ['Sources'];

/** What bots are trained on. Multipart must be registered on `app`. */
export function addSourceRoutes(app: ZodApp, parts: HttpParts): void {
  const { store, trainer, limits } = parts;

  function uploadOf(request: FastifyRequest, fields: z.ZodType<UploadFields>): Upload {
    const { chunkingModules = [], requireSplitter } = parts;
    const splitters = { chunkingModules, ...(requireSplitter === undefined ? {} : { requireSplitter }) };
    return readUpload(request, { fields, maxBytes: limits.maxUploadBytes, ...splitters });
  }

  app.post(
    '/v1/bots/:bot/sources',
    {
      bodyLimit: limits.bodyBytes,
      schema: {
        summary: 'Train the bot on text, questions and answers, files, or pages of the web',
        description: 'Answers when the content is stored safely; training goes on in the background.',
        tags,
        params: botParams,
        body: { content: { 'application/json': { schema: newSource }, 'multipart/form-data': { schema: uploadForm } } },
        response: { 202: wireSource },
      },
    },
    async (request, reply) => {
      const bot = await findBot(store, request, request.params.bot);
      if (!request.isMultipart()) {
        const body = bodyOf<NewSourceBody>(request);
        return reply
          .code(202)
          .send(toWireSource(await trainer.add(bot, contentOf(body), optionsOf(body, parts.chunkingModules))));
      }
      const { content, options } = uploadOf(request, uploadFields);
      const source = await drainUpload(request, trainer.add(bot, content, options));
      return reply.code(202).send(toWireSource(source));
    },
  );

  app.put(
    '/v1/bots/:bot/sources/by-key/:external_key',
    {
      bodyLimit: limits.bodyBytes,
      schema: {
        summary: 'Create or replace the source of this key',
        description:
          'Answers 200 when the content has not changed, and no work is done; else 202. The old version answers until the new one is ready.',
        tags,
        params: byKeyParams,
        body: {
          content: {
            'application/json': { schema: keyedSource },
            'multipart/form-data': { schema: uploadForm.omit({ external_key: true }) },
          },
        },
        response: { 200: wireSource, 202: wireSource },
      },
    },
    async (request, reply) => {
      const bot = await findBot(store, request, request.params.bot);
      const key = request.params.external_key;
      const { source, change } = await (request.isMultipart() ? putUpload() : putJson());
      return reply.code(change === 'unchanged' ? 200 : 202).send(toWireSource(source));

      function putJson() {
        const body = bodyOf<KeyedSourceBody>(request);
        return trainer.put(bot, key, { content: contentOf(body), ...optionsOf(body, parts.chunkingModules) });
      }
      function putUpload() {
        const { content, options } = uploadOf(request, keyedUploadFields);
        // The same object: its metadata is filled in when the form has been read.
        return drainUpload(request, trainer.put(bot, key, Object.assign(options, { content })));
      }
    },
  );

  app.get(
    '/v1/bots/:bot/sources',
    {
      schema: {
        summary: 'List the sources of a bot',
        tags,
        params: botParams,
        querystring: listQuery('src'),
        response: { 200: listOf(wireSource) },
      },
    },
    async (request) => {
      const bot = await findBot(store, request, request.params.bot);
      const page = await store.forTenant(bot.tenantId).sources.list(bot.id, pageRequestOf(request.query));
      return toWirePage(page, toWireSource);
    },
  );

  app.get(
    '/v1/bots/:bot/sources/:id',
    { schema: { summary: 'Get a source', tags, params: botObjectParams, response: { 200: wireSource } } },
    async (request) => {
      const bot = await findBot(store, request, request.params.bot);
      return toWireSource(await findSource(store, bot, request.params.id));
    },
  );

  app.delete(
    '/v1/bots/:bot/sources/:id',
    {
      schema: {
        summary: 'Delete a source and forget its content at once',
        tags,
        params: botObjectParams,
        response: { 200: deletedContent('source') },
      },
    },
    async (request) => {
      const bot = await findBot(store, request, request.params.bot);
      const { id } = await findSource(store, bot, request.params.id);
      const receipt = await trainer.remove(bot, id);
      if (receipt === null) throw new AppError('source_not_found', 'The source was deleted by another request.');
      return { id, object: 'source.deleted' as const, deleted: true as const, receipt: { ...receipt } };
    },
  );

  app.post(
    '/v1/bots/:bot/sources/:id/sync',
    {
      schema: {
        summary: 'Train a source again; pages of the web are fetched again',
        tags,
        params: botObjectParams,
        response: { 202: wireSource },
      },
    },
    async (request, reply) => {
      const bot = await findBot(store, request, request.params.bot);
      const source = await trainer.sync(bot, await findSource(store, bot, request.params.id));
      return reply.code(202).send(toWireSource(source));
    },
  );

  app.get(
    '/v1/bots/:bot/sources/:id/documents',
    {
      schema: {
        summary: 'List the documents of a source',
        tags,
        params: botObjectParams,
        querystring: listQuery('doc'),
        response: { 200: listOf(wireDocument) },
      },
    },
    async (request) => {
      const bot = await findBot(store, request, request.params.bot);
      const source = await findSource(store, bot, request.params.id);
      const page = await store.forTenant(bot.tenantId).documents.list(source.id, pageRequestOf(request.query));
      return toWirePage(page, toWireDocument);
    },
  );
}

/** The body, which was checked against the schema of its content type. */
function bodyOf<Body>(request: FastifyRequest): Body {
  if (request.body !== undefined && request.body !== null) return request.body as Body;
  throw new AppError('invalid_request', 'Send a source as application/json, or files as multipart/form-data.');
}

function contentOf(body: KeyedSourceBody): SourceContent {
  switch (body.type) {
    case 'text':
      return { type: 'text', title: body.title, content: body.content };
    case 'qa':
      return { type: 'qa', items: body.items, ...(body.title === undefined ? {} : { title: body.title }) };
    case 'url':
      return { type: 'url', url: body.url, ...syncIntervalOf(body) };
    default:
      return {
        type: body.type,
        url: body.url,
        ...(body.include === undefined ? {} : { include: body.include }),
        ...(body.exclude === undefined ? {} : { exclude: body.exclude }),
        ...(body.max_pages === undefined ? {} : { maxPages: body.max_pages }),
        ...syncIntervalOf(body),
      };
  }
}

function syncIntervalOf({
  sync_interval_seconds: seconds,
}: {
  readonly sync_interval_seconds?: number | null | undefined;
}) {
  return seconds === undefined ? {} : { syncIntervalMs: seconds === null ? null : seconds * 1_000 };
}

function optionsOf(body: NewSourceBody | KeyedSourceBody, chunkingModules?: readonly string[]): SourceOptions {
  const externalKey = 'external_key' in body ? body.external_key : undefined;
  return {
    ...(externalKey === undefined ? {} : { externalKey }),
    ...(body.metadata === undefined ? {} : { metadata: body.metadata }),
    ...(body.chunking_strategy === undefined ? {} : { chunking: chunkingOf(body.chunking_strategy, chunkingModules) }),
  };
}
