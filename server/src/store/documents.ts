import type { Selectable } from 'kysely';
import { AppError } from '../kernel/index.ts';
import { hasChunks } from './answering-set.ts';
import { reviseContent } from './content-revision.ts';
import type { DocumentStructure } from './document-structure.ts';
import type { AddedDocument, Document, Failure, NewChunk } from './entities.ts';
import { FIRST_CHUNK_SET } from './index-key.ts';
import { readJsonOrNull, writeJson, writeJsonOrNull } from './json-columns.ts';
import { fetchTenantPage } from './paging.ts';
import type { DocumentRepository } from './ports.ts';
import type { DocumentsTable } from './schema.ts';
import type { NewRow, TenantScope } from './tenant-scope.ts';

/** Keeps a statement's parameters (up to 16 a row) below every engine's limit. */
const ROWS_PER_INSERT = 100;

const COLUMNS_WITHOUT_TEXT = [
  'documents.id',
  'documents.number',
  'documents.tenant_id',
  'documents.bot_id',
  'documents.source_id',
  'documents.title',
  'documents.url',
  'documents.input_name',
  'documents.state',
  'documents.last_error_json',
  'documents.content_hash',
  'documents.tokens',
  'documents.created_at',
  'documents.trained_as',
] as const;

export function createDocumentRepository(scope: TenantScope, now: () => number): DocumentRepository {
  const documents = () => scope.select('documents').selectAll('documents');
  return {
    add: (botId, sourceId, { chunkSet, ...document }) =>
      addDocuments(scope, { botId, chunkSet, createdAt: now() }, [{ ...document, sourceId }]),
    addMany: ({ botId, chunkSet }, added) => addDocuments(scope, { botId, chunkSet, createdAt: now() }, added),
    addChunkSet: (documentId, chunkSet, chunks) =>
      scope.atomically(async (transaction) => {
        const owner = await transaction
          .select('documents')
          .select(['documents.bot_id', 'documents.source_id'])
          .where('id', '=', documentId)
          .where('state', '!=', 'refused')
          .executeTakeFirst();
        if (owner === undefined || (await isCut(transaction, documentId, chunkSet))) return;
        const of = { botId: owner.bot_id, sourceId: owner.source_id, documentId, chunkSet };
        for (const rows of inBatches(chunks.map((chunk) => toChunkRow(chunk, of)))) {
          await transaction.insert('chunks', rows).execute();
        }
        const index = await transaction.lexical.open(of);
        await index([documentId]);
      }),
    async withoutChunkSet({ botId, sourceId, chunkSet }, limit) {
      const rows = await scope
        .select('documents')
        .select('documents.id')
        // Joined, SQLite would walk through the documents of all bots of the tenant.
        .where('documents.source_id', 'in', scope.select('sources').select('sources.id').where('bot_id', '=', botId))
        .where('documents.state', 'in', sourceId === undefined ? ['searchable'] : ['searchable', 'building'])
        .$if(sourceId !== undefined, (query) => query.where('documents.source_id', '=', sourceId ?? ''))
        .where((where) => where.not(hasChunks(where, chunkSet)))
        .orderBy('documents.number')
        .limit(limit)
        .execute();
      return rows.map(({ id }) => id);
    },
    async get(id) {
      const row = await documents().where('id', '=', id).executeTakeFirst();
      return row === undefined ? null : toDocument(row);
    },
    async getMany(ids) {
      const rows = await documents()
        .where((where) => scope.dialect.isOneOf(where.ref('documents.id'), ids))
        .execute();
      return rows.map(toDocument);
    },
    list: (sourceId, page) =>
      fetchTenantPage(scope, scope.select('documents').select(COLUMNS_WITHOUT_TEXT).where('source_id', '=', sourceId), {
        table: 'documents',
        page,
        toItem: toDocumentWithoutText,
      }),
    async idsOf(sourceId, states) {
      const rows = await scope
        .select('documents')
        .select('documents.id')
        .where('source_id', '=', sourceId)
        .where('state', 'in', [...states])
        .orderBy('documents.number')
        .execute();
      return rows.map(({ id }) => id);
    },
    async setState(ids, state) {
      if (ids.length === 0) return;
      await scope.atomically(async (transaction) => {
        const change = transaction
          .update('documents')
          .set({ state })
          .where((where) => scope.dialect.isOneOf(where.ref('documents.id'), ids));
        await Promise.all([change.execute(), reviseContent(transaction, { documentIds: ids })]);
      });
    },
    async fingerprints(botId, { after, limit }) {
      const rows = await scope
        .select('documents')
        .innerJoin('sources', (join) =>
          join.onRef('sources.tenant_id', '=', 'documents.tenant_id').onRef('sources.id', '=', 'documents.source_id'),
        )
        .leftJoin('document_signatures', (join) =>
          join
            .onRef('document_signatures.tenant_id', '=', 'documents.tenant_id')
            .onRef('document_signatures.document_id', '=', 'documents.id'),
        )
        .select(['documents.number', 'documents.id', 'documents.source_id', 'documents.title', 'documents.url'])
        .select(['documents.content_hash', 'sources.external_key', 'document_signatures.signature'])
        .where('sources.bot_id', '=', botId)
        .where('documents.state', '=', 'searchable')
        .where('documents.number', '>', after)
        .orderBy('documents.number')
        .limit(limit)
        .execute();
      return rows.map((row) => ({
        position: row.number,
        id: row.id,
        sourceId: row.source_id,
        externalKey: row.external_key,
        title: row.title,
        url: row.url,
        contentHash: row.content_hash,
        signature: row.signature,
      }));
    },
    async delete(ids) {
      if (ids.length === 0) return;
      await scope.atomically(async (transaction) => {
        await transaction.lexical.unindex(ids);
        await reviseContent(transaction, { documentIds: ids });
        await transaction
          .delete('documents')
          .where((where) => scope.dialect.isOneOf(where.ref('documents.id'), ids))
          .execute();
      });
    },
  };
}

function addDocuments(
  scope: TenantScope,
  of: { readonly botId: string; readonly chunkSet: string | undefined; readonly createdAt: number },
  added: readonly AddedDocument[],
): Promise<void> {
  const { botId, chunkSet = FIRST_CHUNK_SET, createdAt } = of;
  return scope.atomically(async (transaction) => {
    const hasChunks = added.some(({ chunks }) => chunks.length > 0);
    const [known, index] = await Promise.all([
      thoseThere(
        transaction,
        added.map(({ document }) => document.id),
      ),
      hasChunks ? transaction.lexical.open({ botId, chunkSet }) : null,
    ]);
    const documents = added.filter(({ document }) => !known.has(document.id));
    if (documents.length === 0) return;
    const documentRows = documents.map(({ sourceId, document }) => toRow({ ...document, botId, sourceId, createdAt }));
    const chunkRows = documents.flatMap(({ sourceId, document, chunks }) =>
      chunks.map((chunk) => toChunkRow(chunk, { botId, sourceId, documentId: document.id, chunkSet })),
    );
    const signatures = documents.flatMap(({ document, signature }) =>
      signature === undefined ? [] : [{ bot_id: botId, document_id: document.id, signature }],
    );
    const isShown = documents.some(({ document }) => document.state === 'searchable');
    try {
      // Asked for at once and run in this order.
      await Promise.all([
        ...inBatches(documentRows).map((rows) => transaction.insert('documents', rows).execute()),
        ...inBatches(chunkRows).map((rows) => transaction.insert('chunks', rows).execute()),
        index?.(documents.map(({ document }) => document.id)),
        ...inBatches(signatures).map((rows) => transaction.insert('document_signatures', rows).execute()),
        isShown ? reviseContent(transaction, { botId }) : null,
      ]);
    } catch (error) {
      if (!scope.dialect.isMissingParent(error)) throw error;
      throw new AppError('source_not_found', 'There is no such source.', { cause: error });
    }
  });
}

function inBatches<Row>(rows: readonly Row[]): readonly (readonly Row[])[] {
  const batches = Math.ceil(rows.length / ROWS_PER_INSERT);
  return Array.from({ length: batches }, (_, batch) =>
    rows.slice(batch * ROWS_PER_INSERT, (batch + 1) * ROWS_PER_INSERT),
  );
}

/** Of these documents, the ids of those that are there. */
async function thoseThere(scope: TenantScope, ids: readonly string[]): Promise<ReadonlySet<string>> {
  const rows = await scope
    .select('documents')
    .select('documents.id')
    .where((where) => scope.dialect.isOneOf(where.ref('documents.id'), ids))
    .execute();
  return new Set(rows.map(({ id }) => id));
}

async function isCut(scope: TenantScope, documentId: string, chunkSet: string): Promise<boolean> {
  const row = await scope
    .select('chunks')
    .select('chunks.id')
    .where('document_id', '=', documentId)
    .where('chunk_set', '=', chunkSet)
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}

function toRow(document: Omit<Document, 'tenantId'>): NewRow<'documents'> {
  return {
    id: document.id,
    bot_id: document.botId,
    source_id: document.sourceId,
    title: document.title,
    url: document.url,
    input_name: document.inputName,
    state: document.state,
    last_error_json: writeJsonOrNull(document.lastError),
    content_hash: document.contentHash,
    tokens: document.tokens,
    created_at: document.createdAt,
    text: document.text,
    trained_as: document.trainedAs ?? null,
    structure_json: writeJsonOrNull(document.structure ?? null),
  };
}

function toChunkRow(
  chunk: NewChunk,
  owner: {
    readonly botId: string;
    readonly sourceId: string;
    readonly documentId: string;
    readonly chunkSet: string;
  },
): NewRow<'chunks'> {
  return {
    id: chunk.id,
    bot_id: owner.botId,
    source_id: owner.sourceId,
    document_id: owner.documentId,
    position: chunk.position,
    start_offset: chunk.start,
    end_offset: chunk.end,
    heading_path_json: writeJson(chunk.headingPath),
    page: chunk.page,
    tokens: chunk.tokens,
    hash: chunk.hash,
    text: chunk.text,
    chunk_set: owner.chunkSet,
  };
}

function toDocument(row: Selectable<DocumentsTable>): Document {
  const structure = readJsonOrNull<DocumentStructure>(row.structure_json);
  return { ...toDocumentWithoutText(row), text: row.text, ...(structure === null ? {} : { structure }) };
}

function toDocumentWithoutText(
  row: Omit<Selectable<DocumentsTable>, 'text' | 'structure_json'>,
): Omit<Document, 'text'> {
  return {
    id: row.id,
    tenantId: row.tenant_id,
    botId: row.bot_id,
    sourceId: row.source_id,
    title: row.title,
    url: row.url,
    inputName: row.input_name,
    trainedAs: row.trained_as,
    state: row.state as Document['state'],
    lastError: readJsonOrNull<Failure>(row.last_error_json),
    contentHash: row.content_hash,
    tokens: row.tokens,
    createdAt: row.created_at,
  };
}
