import type { SyncRequest } from '../../training/index.ts';
import {
  botObjectParams,
  botParams,
  listOf,
  listQuery,
  type NewSyncRunBody,
  newSyncRun,
  type SyncCommitBody,
  syncCommit,
  syncUploadFields,
  syncUploadForm,
  wireSyncRun,
  wireSyncUpload,
} from '../contract/index.ts';
import type { HttpParts } from '../http-app-options.ts';
import { toWireSyncRun, toWireSyncRunWithPlan, toWireSyncUpload } from '../mappers/sync-run.ts';
import { findBot } from '../owned.ts';
import { pageRequestOf, toWirePage } from '../pages.ts';
import { drainUpload, readUpload } from '../upload.ts';
import type { ZodApp } from '../zod-app.ts';

const tags = ['Sync'];
/** A manifest of 100,000 files with paths of usual length. */
const MANIFEST_BYTES = 40 * 1024 * 1024;

/** A folder and a bot brought into line: manifest in, plan out, upload what is asked, commit. Multipart must be registered. */
export function addSyncRoutes(app: ZodApp, { store, syncRuns, limits }: HttpParts): void {
  app.post(
    '/v1/bots/:bot/sync_runs',
    {
      bodyLimit: MANIFEST_BYTES,
      schema: {
        summary: 'Compare your files with what the bot has',
        description:
          'Answers with the plan: which files to upload, how many are unchanged, which sources the commit will delete. Nothing changes yet.',
        tags,
        params: botParams,
        body: newSyncRun,
        response: { 201: wireSyncRun },
      },
    },
    async (request, reply) => {
      const bot = await findBot(store, request, request.params.bot);
      return reply.code(201).send(toWireSyncRunWithPlan(await syncRuns.open(bot, requestOf(request.body))));
    },
  );

  app.get(
    '/v1/bots/:bot/sync_runs',
    {
      schema: {
        summary: 'List the sync runs of a bot',
        tags,
        params: botParams,
        querystring: listQuery('syn'),
        response: { 200: listOf(wireSyncRun) },
      },
    },
    async (request) => {
      const bot = await findBot(store, request, request.params.bot);
      const page = await syncRuns.list(bot, pageRequestOf(request.query));
      return toWirePage(page, toWireSyncRun);
    },
  );

  app.get(
    '/v1/bots/:bot/sync_runs/:id',
    { schema: { summary: 'Get a sync run', tags, params: botObjectParams, response: { 200: wireSyncRun } } },
    async (request) => {
      const bot = await findBot(store, request, request.params.bot);
      return toWireSyncRunWithPlan(await syncRuns.get(bot, request.params.id));
    },
  );

  app.post(
    '/v1/bots/:bot/sync_runs/:id/sources',
    {
      schema: {
        summary: 'Upload files that a sync run asks for',
        description:
          'Many files in one form, each a source of its own; the name of a file is its key. A file that cannot be trained on is refused by itself. The same as putting each by its key, with fewer requests; keys with quotes, percent signs or backslashes can only be put by key.',
        tags,
        params: botObjectParams,
        body: { content: { 'multipart/form-data': { schema: syncUploadForm } } },
        response: { 202: wireSyncUpload },
      },
    },
    async (request, reply) => {
      const bot = await findBot(store, request, request.params.bot);
      const { id } = request.params;
      const { content } = readUpload(request, { fields: syncUploadFields, maxBytes: limits.maxUploadBytes });
      const outcomes = await drainUpload(request, syncRuns.upload(bot, id, content.files));
      return reply.code(202).send(toWireSyncUpload(id, outcomes));
    },
  );

  app.post(
    '/v1/bots/:bot/sync_runs/:id/commit',
    {
      bodyLimit: MANIFEST_BYTES,
      schema: {
        summary: 'Delete what is gone, and end the sync run',
        description:
          'Sources that the plan deletes and that were not put again since are deleted, with a receipt. May be repeated.',
        tags,
        params: botObjectParams,
        body: syncCommit.optional(),
        response: { 200: wireSyncRun },
      },
    },
    async (request) => {
      const bot = await findBot(store, request, request.params.bot);
      const { skip }: SyncCommitBody = request.body ?? { skip: [] };
      return toWireSyncRunWithPlan(await syncRuns.commit(bot, request.params.id, { skip }));
    },
  );

  app.post(
    '/v1/bots/:bot/sync_runs/:id/cancel',
    {
      schema: {
        summary: 'End a sync run without deleting anything',
        description: 'What was uploaded stays.',
        tags,
        params: botObjectParams,
        response: { 200: wireSyncRun },
      },
    },
    async (request) => {
      const bot = await findBot(store, request, request.params.bot);
      return toWireSyncRunWithPlan(await syncRuns.cancel(bot, request.params.id));
    },
  );
}

function requestOf({ manifest, prune, prefix }: NewSyncRunBody): SyncRequest {
  return {
    prune,
    prefix,
    manifest: manifest.map(({ external_key, content_hash, metadata }) => ({
      externalKey: external_key,
      contentHash: content_hash,
      ...(metadata === undefined ? {} : { metadata }),
    })),
  };
}
