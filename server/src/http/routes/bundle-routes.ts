import { Readable } from 'node:stream';
import { createGzip } from 'node:zlib';
import type { FastifyRequest } from 'fastify';
import { AppError } from '../../kernel/index.ts';
import type { Imported } from '../../training/index.ts';
import { botParams, exportQuery, importQuery, uploadFields, wireImportedBot } from '../contract/index.ts';
import type { HttpParts } from '../http-app-options.ts';
import { findBot } from '../owned.ts';
import { presentBot } from '../present-bot.ts';
import { principalOf } from '../request-context.ts';
import { drainUpload, limitedBody, readUpload } from '../upload.ts';
import type { ZodApp } from '../zod-app.ts';

const tags = ['Bots'];
const BUNDLE_TYPES = ['application/gzip', 'application/x-gzip', 'application/x-ndjson', 'application/octet-stream'];
/** A bundle holds many files, of which each may be as large as an upload. */
const BUNDLE_TO_UPLOAD = 100;
/** Vectors hardly shrink, and text does at the lowest level too. */
const COMPRESSION_LEVEL = 1;

/** A bot as one file, out and in. To be registered in a scope of its own: it adds content types. */
export function addBundleRoutes(app: ZodApp, parts: HttpParts): void {
  const { store, bundles, limits, logger } = parts;
  for (const type of BUNDLE_TYPES) app.addContentTypeParser(type, (_request, body, done) => done(null, body));

  app.get(
    '/v1/bots/:bot/export',
    {
      schema: {
        summary: 'Export a bot as one file',
        description:
          'A gzipped stream of JSON lines: settings, files, documents, chunks and vectors. `POST /v1/bots/import` makes a bot of it, here or on another server.',
        tags,
        params: botParams,
        querystring: exportQuery,
      },
    },
    async (request, reply) => {
      const bot = await findBot(store, request, request.params.bot);
      const gone = new AbortController();
      const lines = bundles.exporter.export(bot, { files: request.query.files, signal: gone.signal });
      const gzip = createGzip({ level: COMPRESSION_LEVEL });
      const source = Readable.from(lines, { objectMode: false });
      // A file that breaks off lacks its last record, and so cannot be imported by mistake.
      source.on('error', (error) => {
        if (!gone.signal.aborted) logger.error({ bot: bot.id, error }, 'an export broke off');
        gzip.destroy(error);
      });
      reply.raw.on('close', () => {
        gone.abort();
        source.destroy();
      });
      return reply
        .header('content-type', 'application/gzip')
        .header('content-disposition', `attachment; filename="${bot.slug}.chatsphere.gz"`)
        .send(source.pipe(gzip));
    },
  );

  app.post(
    '/v1/bots/import',
    {
      schema: {
        summary: 'Import a bot from a file that an export gave',
        description:
          'Send the file as it is (application/gzip or application/x-ndjson), or as `file` of a form. The new bot answers at once; it is embedded again only when its vectors are of another model than those of this server.',
        tags,
        querystring: importQuery,
        response: { 201: wireImportedBot },
      },
    },
    async (request, reply) => {
      const principal = principalOf(request);
      if (principal.bots !== null) {
        throw new AppError('insufficient_scope', 'This API key is bound to certain bots and cannot make others.');
      }
      const { slug, name } = request.query;
      const wishes = { ...(slug === undefined ? {} : { slug }), ...(name === undefined ? {} : { name }) };
      const importFrom = (content: Readable): Promise<Imported> =>
        bundles.importer.import(principal.tenantId, content, wishes);
      const imported = await drainUpload(request, withContent(request, importFrom));
      return reply.code(201).send({ ...(await presentBot(parts, imported.bot)), imported: imported.counts });
    },
  );

  async function withContent<Result>(
    request: FastifyRequest,
    work: (content: Readable) => Promise<Result>,
  ): Promise<Result> {
    const maxBytes = limits.maxUploadBytes * BUNDLE_TO_UPLOAD;
    if (request.body instanceof Readable) return work(limitedBody(request, request.body, maxBytes));
    const results: Result[] = [];
    if (request.isMultipart()) {
      const rules = { fields: uploadFields, maxBytes };
      for await (const file of readUpload(request, rules).content.files) {
        if (results.length > 0)
          throw new AppError('invalid_request', 'file: Send one bundle at a time.', { param: 'file' });
        results.push(await work(file.content));
      }
    }
    const [result] = results;
    if (result !== undefined) return result;
    throw new AppError('invalid_request', 'Send the file of an export as application/gzip, or as `file` of a form.');
  }
}
