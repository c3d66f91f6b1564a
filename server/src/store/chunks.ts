import { type Selectable, type SelectQueryBuilder, sql } from 'kysely';
import { AppError } from '../kernel/index.ts';
import { chunkSetOr } from './answering-set.ts';
import type { EmbeddableChunk } from './embeddable-chunk.ts';
import type { Chunk, ChunkVectors } from './entities.ts';
import { indexParts } from './index-key.ts';
import { readJson } from './json-columns.ts';
import { fetchTenantPage } from './paging.ts';
import type { ChunkRepository } from './ports.ts';
import type { ChunksTable, Schema } from './schema.ts';
import type { TenantScope } from './tenant-scope.ts';
import { packWindows, unpackWindows } from './vector-columns.ts';

/** Keeps a statement's parameters (6 a chunk) below every engine's limit. */
const VECTORS_PER_INSERT = 100;

export function createChunkRepository(scope: TenantScope): ChunkRepository {
  async function isInSource(
    botId: string,
    { sourceId, quote }: { readonly sourceId: string; readonly quote: string },
  ): Promise<boolean> {
    const row = await scope
      .select('documents')
      .select(sql.lit(1).as('one'))
      .where('documents.bot_id', '=', botId)
      .where('documents.source_id', '=', sourceId)
      .where('documents.state', '=', 'searchable')
      .where((where) => scope.dialect.containsText(where.ref('documents.text'), quote))
      .limit(1)
      .executeTakeFirst();
    return row !== undefined;
  }

  return {
    list: (documentId, { chunkSet, ...page }) =>
      fetchTenantPage(
        scope,
        scope
          .select('chunks')
          .selectAll('chunks')
          .where('document_id', '=', documentId)
          .where('chunk_set', '=', chunkSetOr(chunkSet)),
        { table: 'chunks', page, toItem: toChunk },
      ),
    async holdQuotes(botId, quotes) {
      const ids = quotes.map(({ chunkId }) => chunkId);
      const rows = await withDocuments(scope.selectByIds('chunks', ids))
        .select('chunks.id')
        .where('chunks.bot_id', '=', botId)
        .where('documents.state', '=', 'searchable')
        .execute();
      const known = new Set(rows.map(({ id }) => id));
      return Promise.all(quotes.map(async (quote) => known.has(quote.chunkId) || (await isInSource(botId, quote))));
    },
    async getSearchable(botId, ids) {
      const rows = await withDocuments(scope.selectByIds('chunks', ids))
        .innerJoin('sources', (join) =>
          join.onRef('sources.tenant_id', '=', 'chunks.tenant_id').onRef('sources.id', '=', 'chunks.source_id'),
        )
        .selectAll('chunks')
        .select(['documents.title as document_title', 'documents.url as document_url', 'sources.external_key'])
        .where('chunks.bot_id', '=', botId)
        .where('documents.state', '=', 'searchable')
        .execute();
      const byId = new Map(rows.map((row) => [row.id, row]));
      return [...new Set(ids)].flatMap((id) => {
        const row = byId.get(id);
        if (row === undefined) return [];
        const document = { documentTitle: row.document_title, documentUrl: row.document_url };
        return [{ ...toChunk(row), ...document, externalKey: row.external_key }];
      });
    },
    async withoutVectors(sourceId, generation, { limit, after }) {
      const rows = await unembedded(scope, generation)
        .where('chunks.source_id', '=', sourceId)
        .$if(after !== undefined, (query) =>
          query.where('chunks.number', '>', (of) =>
            of
              .selectFrom('chunks as earlier')
              .select('earlier.number')
              .where('earlier.id', '=', after ?? ''),
          ),
        )
        .orderBy('chunks.number')
        .limit(limit)
        .execute();
      return rows.map(toEmbeddable);
    },
    async withoutVectorsOfBot(botId, generation, limit) {
      const rows = await unembedded(scope, generation)
        .where('chunks.bot_id', '=', botId)
        .where('documents.state', '=', 'searchable')
        .orderBy('chunks.number')
        .limit(limit)
        .execute();
      return rows.map(toEmbeddable);
    },
    async sample(botId, chunkSet, limit) {
      const rows = await embeddable(scope)
        .where('chunks.bot_id', '=', botId)
        .where('chunks.chunk_set', '=', chunkSet)
        .where('documents.state', '=', 'searchable')
        // Multiplied by a prime, row numbers come in an order that is spread out and always the same.
        .orderBy(sql`(chunks.number * 7919) % 10007`)
        .limit(limit)
        .execute();
      return rows.map(toEmbeddable);
    },
    async countOf(sourceId, generation) {
      const row = await counted(scope, generation).where('chunks.source_id', '=', sourceId).executeTakeFirstOrThrow();
      return { chunks: Number(row.chunks), embedded: Number(row.embedded) };
    },
    async countOfBot(botId, generation) {
      const row = await counted(scope, generation)
        .innerJoin('documents', (join) =>
          join.onRef('documents.tenant_id', '=', 'chunks.tenant_id').onRef('documents.id', '=', 'chunks.document_id'),
        )
        .where('chunks.bot_id', '=', botId)
        .where('documents.state', '=', 'searchable')
        .executeTakeFirstOrThrow();
      return { chunks: Number(row.chunks), embedded: Number(row.embedded) };
    },
    async countOfDocuments(documentIds) {
      const { chunks } = await scope
        .select('chunks')
        .select((select) => select.fn.countAll<number>().as('chunks'))
        .where((where) => scope.dialect.isOneOf(where.ref('chunks.document_id'), documentIds))
        .where('chunks.chunk_set', '=', chunkSetOr(null))
        .executeTakeFirstOrThrow();
      return Number(chunks);
    },
    async findVectors(generation, hashes) {
      const newestOfEachHash = withVectors(scope.select('chunks'), generation)
        .select((select) => select.fn.max('chunks.number').as('number'))
        .where((where) => scope.dialect.isOneOf(where.ref('chunks.hash'), hashes))
        .groupBy('chunks.hash');
      const rows = await withVectors(scope.select('chunks'), generation)
        .select(['chunks.hash', 'chunk_vectors.windows', 'chunk_vectors.vectors'])
        .where('chunks.number', 'in', newestOfEachHash)
        .execute();
      return new Map(rows.map((row) => [row.hash, unpackWindows(row.vectors, row.windows)]));
    },
    async vectorsOf(botId, generation, chunkIds) {
      const rows = await withVectors(scope.selectByIds('chunks', chunkIds), generation)
        .select(['chunks.id', 'chunk_vectors.windows', 'chunk_vectors.vectors'])
        .where('chunks.bot_id', '=', botId)
        .where('chunks.chunk_set', '=', chunkSetOr(indexParts(generation).chunkSet))
        .execute();
      return rows.map((row) => ({ chunkId: row.id, windows: unpackWindows(row.vectors, row.windows) }));
    },
    async countVectors(botId, generation) {
      const { sum } = await withVectors(scope.select('chunks'), generation)
        .innerJoin('documents', (join) =>
          join.onRef('documents.tenant_id', '=', 'chunks.tenant_id').onRef('documents.id', '=', 'chunks.document_id'),
        )
        .select((select) => select.fn.sum<number | null>('chunk_vectors.windows').as('sum'))
        .where('chunks.bot_id', '=', botId)
        .where('chunks.chunk_set', '=', chunkSetOr(indexParts(generation).chunkSet))
        .where('documents.state', 'in', ['searchable', 'building'])
        .executeTakeFirstOrThrow();
      return Number(sum ?? 0);
    },
    async textsOf(botId, chunkIds) {
      const rows = await scope
        .selectByIds('chunks', chunkIds)
        .select(['chunks.id', 'chunks.text'])
        .where('chunks.bot_id', '=', botId)
        .execute();
      return new Map(rows.map(({ id, text }) => [id, text]));
    },
    async hasVectors(botId, generation) {
      const row = await scope
        .select('chunk_vectors')
        .select('chunk_vectors.chunk_number')
        .where('chunk_vectors.bot_id', '=', botId)
        .where('chunk_vectors.generation', '=', indexParts(generation).space)
        .limit(1)
        .executeTakeFirst();
      return row !== undefined;
    },
    putVectors: (generation, vectors) =>
      scope.atomically(async (transaction) => {
        refuseUnevenWindows(vectors);
        const owners = await ownersOf(transaction, vectors);
        const { space } = indexParts(generation);
        const rows = vectors.flatMap(({ chunkId, windows }) => {
          const owner = owners.get(chunkId);
          if (owner === undefined) return [];
          return [{ ...owner, generation: space, windows: windows.length, vectors: packWindows(windows) }];
        });
        for (let first = 0; first < rows.length; first += VECTORS_PER_INSERT) {
          await transaction
            .insert('chunk_vectors', rows.slice(first, first + VECTORS_PER_INSERT))
            .onConflict((conflict) =>
              conflict
                .columns(['chunk_number', 'generation'])
                .doUpdateSet((set) => ({ windows: set.ref('excluded.windows'), vectors: set.ref('excluded.vectors') })),
            )
            .execute();
        }
      }),
  };
}

function embeddable(scope: TenantScope) {
  return withDocuments(scope.select('chunks'))
    .select(['chunks.id', 'chunks.document_id', 'chunks.source_id', 'chunks.heading_path_json', 'chunks.text'])
    .select(['chunks.hash', 'documents.title as document_title']);
}

/** Chunks of the index's set, in any document but refused ones, without vectors in its space. */
function unembedded(scope: TenantScope, generation: string) {
  const { space, chunkSet } = indexParts(generation);
  return embeddable(scope)
    .where('chunks.chunk_set', '=', chunkSetOr(chunkSet))
    .where('documents.state', '!=', 'refused')
    .where((where) =>
      where.not(
        where.exists(
          where
            .selectFrom('chunk_vectors')
            .select(sql.lit(1).as('one'))
            .whereRef('chunk_vectors.chunk_number', '=', 'chunks.number')
            .where('chunk_vectors.generation', '=', space),
        ),
      ),
    );
}

function counted(scope: TenantScope, generation: string) {
  const { space, chunkSet } = indexParts(generation);
  return scope
    .select('chunks')
    .leftJoin('chunk_vectors', (join) =>
      join.onRef('chunk_vectors.chunk_number', '=', 'chunks.number').on('chunk_vectors.generation', '=', space),
    )
    .select((select) => [
      select.fn.count<number>('chunks.number').as('chunks'),
      select.fn.count<number>('chunk_vectors.chunk_number').as('embedded'),
    ])
    .where('chunks.chunk_set', '=', chunkSetOr(chunkSet));
}

type EmbeddableRow = Pick<
  Selectable<ChunksTable>,
  'id' | 'document_id' | 'source_id' | 'heading_path_json' | 'text' | 'hash'
> & { readonly document_title: string };

function toEmbeddable(row: EmbeddableRow): EmbeddableChunk {
  return {
    id: row.id,
    documentId: row.document_id,
    sourceId: row.source_id,
    documentTitle: row.document_title,
    headingPath: readJson<string[]>(row.heading_path_json),
    text: row.text,
    hash: row.hash,
  };
}

type SelectedChunks = SelectQueryBuilder<Schema, 'chunks', object>;

function withDocuments(chunks: SelectedChunks) {
  return chunks.innerJoin('documents', (join) =>
    join.onRef('documents.tenant_id', '=', 'chunks.tenant_id').onRef('documents.id', '=', 'chunks.document_id'),
  );
}

function withVectors(chunks: SelectedChunks, generation: string) {
  const { space } = indexParts(generation);
  return chunks.innerJoin('chunk_vectors', (join) =>
    join.onRef('chunk_vectors.chunk_number', '=', 'chunks.number').on('chunk_vectors.generation', '=', space),
  );
}

/** Row numbers and bots of the chunks that are (still) there. */
async function ownersOf(scope: TenantScope, vectors: readonly ChunkVectors[]) {
  const ids = vectors.map(({ chunkId }) => chunkId);
  const rows = await scope.selectByIds('chunks', ids).select(['chunks.id', 'chunks.number', 'chunks.bot_id']).execute();
  return new Map(rows.map((row) => [row.id, { chunk_number: row.number, bot_id: row.bot_id }]));
}

function refuseUnevenWindows(vectors: readonly ChunkVectors[]): void {
  for (const { windows } of vectors) {
    if (windows.every((window) => window.length === windows[0]?.length)) continue;
    throw new AppError('embedding_dimension_mismatch', 'The vectors of one chunk differ in their dimensions.');
  }
}

function toChunk(row: Selectable<ChunksTable>): Chunk {
  return {
    id: row.id,
    tenantId: row.tenant_id,
    botId: row.bot_id,
    sourceId: row.source_id,
    documentId: row.document_id,
    position: row.position,
    start: row.start_offset,
    end: row.end_offset,
    text: row.text,
    headingPath: readJson<string[]>(row.heading_path_json),
    page: row.page,
    tokens: row.tokens,
    hash: row.hash,
  };
}
