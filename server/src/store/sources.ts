import { type Selectable, sql, type Updateable } from 'kysely';
import { AppError } from '../kernel/index.ts';
import { newRevision, reviseContent } from './content-revision.ts';
import type { ChunkingStrategy, Failure, Source, SourceInput } from './entities.ts';
import { UNFINISHED } from './job-rows.ts';
import { changedColumns, ifGiven, readJson, readJsonOrNull, writeJson, writeJsonOrNull } from './json-columns.ts';
import { metadataCondition } from './metadata-filter.ts';
import { fetchTenantPage } from './paging.ts';
import type { SourceRepository } from './ports.ts';
import type { SourcesTable } from './schema.ts';
import { toChangedWebColumns, toWebColumns, toWebSource } from './source-web-columns.ts';
import type { RemovedContent } from './sync-entities.ts';
import type { TenantScope } from './tenant-scope.ts';

/** Keeps a statement's parameters (some 30 a row) below every engine's limit. */
const ROWS_PER_INSERT = 100;

export function createSourceRepository(scope: TenantScope, now: () => number): SourceRepository {
  const sources = () => scope.select('sources').selectAll('sources');
  return {
    create: ({ botId, ...source }) => createSources(scope, botId, [source]),
    createMany: (botId, added) => createSources(scope, botId, added),
    async get(botId, id) {
      const row = await sources().where('bot_id', '=', botId).where('id', '=', id).executeTakeFirst();
      return row === undefined ? null : toSource(row);
    },
    async getByExternalKey(botId, externalKey) {
      const row = await sources()
        .where('bot_id', '=', botId)
        .where('external_key', '=', externalKey)
        .executeTakeFirst();
      return row === undefined ? null : toSource(row);
    },
    list: (botId, page) =>
      fetchTenantPage(scope, sources().where('bot_id', '=', botId), { table: 'sources', page, toItem: toSource }),
    async update(id, changes) {
      const update = (to: TenantScope) =>
        to.update('sources').set(toChangedColumns(changes)).where('id', '=', id).execute();
      if (!isShown(changes)) return void (await update(scope));
      await scope.atomically(async (transaction) => {
        await Promise.all([update(transaction), reviseContent(transaction, { sourceId: id })]);
      });
    },
    delete: (botId, id) => scope.atomically((transaction) => deleteSource(transaction, { botId, id, now: now() })),
    async keyed(botId, { prefix, after, limit }) {
      const rows = await scope
        .select('sources')
        .select(['number', 'id', 'external_key', 'type', 'file_hash', 'status', 'metadata_json', 'last_error_json'])
        .where('bot_id', '=', botId)
        .where('external_key', 'is not', null)
        .where('number', '>', after)
        .$if(prefix !== '', (query) =>
          query.where(sql<string>`substr(external_key, 1, ${Array.from(prefix).length})`, '=', prefix),
        )
        .orderBy('number')
        .limit(limit)
        .execute();
      return rows.map((row) => ({
        position: row.number,
        id: row.id,
        externalKey: row.external_key ?? '',
        type: row.type as Source['type'],
        fileHash: row.file_hash,
        status: row.status as Source['status'],
        metadata: readJson<Source['metadata']>(row.metadata_json),
        lastError: readJsonOrNull<Failure>(row.last_error_json),
      }));
    },
    async findIds(botId, filter) {
      const rows = await scope
        .select('sources')
        .select('sources.id')
        .where('bot_id', '=', botId)
        .where(metadataCondition(filter, scope.dialect))
        .orderBy('sources.number')
        .execute();
      return rows.map(({ id }) => id);
    },
  };
}

async function createSources(
  scope: TenantScope,
  botId: string,
  sources: readonly Omit<Source, 'tenantId' | 'botId'>[],
): Promise<void> {
  if (sources.length === 0) return;
  const rows = sources.map((source) => toRow({ ...source, botId }));
  try {
    await scope.atomically(async (transaction) => {
      // Asked for at once and run in this order.
      const inserts = Array.from({ length: Math.ceil(rows.length / ROWS_PER_INSERT) }, (_, batch) =>
        transaction.insert('sources', rows.slice(batch * ROWS_PER_INSERT, (batch + 1) * ROWS_PER_INSERT)).execute(),
      );
      await Promise.all([...inserts, reviseContent(transaction, { botId })]);
    });
  } catch (error) {
    throw explain(scope, error);
  }
}

async function deleteSource(
  scope: TenantScope,
  { botId, id, now }: { readonly botId: string; readonly id: string; readonly now: number },
): Promise<RemovedContent | null> {
  const source = await scope
    .select('sources')
    .select('sources.inputs_json')
    .where('bot_id', '=', botId)
    .where('id', '=', id)
    .executeTakeFirst();
  if (source === undefined) return null;
  const documents = await scope.select('documents').select('documents.id').where('source_id', '=', id).execute();
  const documentIds = documents.map((document) => document.id);
  const counts = await countContent(scope, id);
  await scope.lexical.unindex(documentIds);
  await scope
    .update('jobs')
    .set({
      state: 'cancelled',
      cancel_requested: 1,
      lease_owner: null,
      lease_expires_at: null,
      updated_at: now,
      finished_at: now,
    })
    .where('source_id', '=', id)
    .where(UNFINISHED)
    .execute();
  await scope.delete('sources').where('id', '=', id).execute();
  await scope
    .update('bots')
    .set({ content_removed_at: now, content_revision: newRevision() })
    .where('id', '=', botId)
    .execute();
  const files = readJson<readonly SourceInput[]>(source.inputs_json).length;
  return { documentIds, receipt: { sources: 1, documents: documentIds.length, ...counts, files } };
}

/** Whether answers show what is changed: citations bear the title and the address, filters ask for the rest. */
function isShown({ title, url, type, metadata }: Parameters<SourceRepository['update']>[1]): boolean {
  return [title, url, type, metadata].some((change) => change !== undefined);
}

/** Chunks of a source and the vectors that they have, in every vector space. */
async function countContent(
  scope: TenantScope,
  sourceId: string,
): Promise<{ readonly chunks: number; readonly vectors: number }> {
  const chunks = await scope
    .select('chunks')
    .select((select) => select.fn.countAll<number>().as('count'))
    .where('source_id', '=', sourceId)
    .executeTakeFirstOrThrow();
  const vectors = await scope
    .select('chunks')
    .innerJoin('chunk_vectors', 'chunk_vectors.chunk_number', 'chunks.number')
    .select(sql<number>`coalesce(sum(chunk_vectors.windows), 0)`.as('count'))
    .where('source_id', '=', sourceId)
    .executeTakeFirstOrThrow();
  return { chunks: Number(chunks.count), vectors: Number(vectors.count) };
}

function explain(scope: TenantScope, error: unknown): unknown {
  if (scope.dialect.isMissingParent(error)) {
    return new AppError('bot_not_found', 'There is no such bot.', { cause: error });
  }
  if (scope.dialect.violatedUniqueColumns(error)?.includes('sources.external_key')) {
    return new AppError('source_busy', 'A source with this external key already exists. Replace it instead.', {
      param: 'external_key',
      retryable: true,
      cause: error,
    });
  }
  return error;
}

/** SHA-256 of the bytes of a source that is made of one file; null for all others. */
export function fileHashOf({
  type,
  inputs,
}: {
  readonly type: string;
  readonly inputs: readonly SourceInput[];
}): string | null {
  return type === 'file' && inputs.length === 1 ? (inputs[0]?.blobHash ?? null) : null;
}

function toRow(source: Omit<Source, 'tenantId'>) {
  return {
    id: source.id,
    bot_id: source.botId,
    type: source.type,
    title: source.title,
    url: source.url,
    status: source.status,
    stage: source.stage,
    progress_done: source.progress.done,
    progress_total: source.progress.total,
    counts_json: writeJson(source.counts),
    last_error_json: writeJsonOrNull(source.lastError),
    job_id: source.jobId,
    external_key: source.externalKey,
    metadata_json: writeJson(source.metadata),
    inputs_json: writeJson(source.inputs),
    content_hash: source.contentHash,
    file_hash: fileHashOf(source),
    chunking_json: writeJsonOrNull(source.chunking ?? null),
    created_at: source.createdAt,
    updated_at: source.updatedAt,
    ...toWebColumns(source.web ?? null),
  };
}

function toChangedColumns(changes: Parameters<SourceRepository['update']>[1]): Updateable<SourcesTable> {
  return changedColumns<Omit<SourcesTable, 'number' | 'id' | 'tenant_id' | 'bot_id' | 'external_key' | 'created_at'>>({
    ...toChangedWebColumns(changes.web),
    url: changes.url,
    type: changes.type,
    title: changes.title,
    status: changes.status,
    stage: changes.stage,
    progress_done: changes.progress?.done,
    progress_total: changes.progress?.total,
    counts_json: ifGiven(changes.counts, writeJson),
    last_error_json: ifGiven(changes.lastError, writeJsonOrNull),
    job_id: changes.jobId,
    metadata_json: ifGiven(changes.metadata, writeJson),
    inputs_json: ifGiven(changes.inputs, writeJson),
    content_hash: changes.contentHash,
    file_hash: ifGiven(changes.inputs, (inputs) => fileHashOf({ type: changes.type ?? 'file', inputs })),
    chunking_json: ifGiven(changes.chunking, writeJsonOrNull),
    updated_at: changes.updatedAt,
  });
}

function toSource(row: Selectable<SourcesTable>): Source {
  return {
    id: row.id,
    tenantId: row.tenant_id,
    botId: row.bot_id,
    type: row.type as Source['type'],
    title: row.title,
    url: row.url,
    status: row.status as Source['status'],
    stage: row.stage as Source['stage'],
    progress: { done: row.progress_done, total: row.progress_total },
    counts: readJson<Source['counts']>(row.counts_json),
    lastError: readJsonOrNull<Failure>(row.last_error_json),
    jobId: row.job_id,
    externalKey: row.external_key,
    metadata: readJson<Source['metadata']>(row.metadata_json),
    inputs: readJson<Source['inputs']>(row.inputs_json),
    ...toWebSource(row),
    contentHash: row.content_hash,
    ...(row.chunking_json === null ? {} : { chunking: readJson<ChunkingStrategy>(row.chunking_json) }),
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}
