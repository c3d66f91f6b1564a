import { type Selectable, sql, type Updateable } from 'kysely';
import { AppError } from '../kernel/index.ts';
import { chunkSetOr } from './answering-set.ts';
import { reviseContent } from './content-revision.ts';
import type { ChunkingStrategy, Failure } from './entities.ts';
import type { Generation, GenerationComparison, GenerationState } from './generation-entities.ts';
import type { GenerationRepository } from './generation-ports.ts';
import { indexParts } from './index-key.ts';
import { changedColumns, ifGiven, readJson, readJsonOrNull, writeJson, writeJsonOrNull } from './json-columns.ts';
import { fetchTenantPage } from './paging.ts';
import type { IndexGenerationsTable } from './schema-generations.ts';
import type { NewRow, TenantScope } from './tenant-scope.ts';

export function createGenerationRepository(scope: TenantScope): GenerationRepository {
  const generations = () => scope.select('index_generations').selectAll('index_generations');
  return {
    async create(generation) {
      try {
        await scope.insert('index_generations', [toRow(generation)]).execute();
      } catch (error) {
        throw explain(scope, error);
      }
    },
    async get(botId, id) {
      const row = await generations().where('bot_id', '=', botId).where('id', '=', id).executeTakeFirst();
      return row === undefined ? null : toGeneration(row);
    },
    async active(botId) {
      const row = await generations()
        .where('bot_id', '=', botId)
        .where(sql<boolean>`state = 'active'`)
        .executeTakeFirst();
      return row === undefined ? null : toGeneration(row);
    },
    list: (botId, page) =>
      fetchTenantPage(scope, generations().where('bot_id', '=', botId), {
        table: 'index_generations',
        page,
        toItem: toGeneration,
      }),
    async inStates(botId, states) {
      const rows = await generations()
        .where('bot_id', '=', botId)
        .where('state', 'in', [...states])
        .orderBy('number', 'desc')
        .execute();
      return rows.map(toGeneration);
    },
    async ofBots(botIds, states) {
      const rows = await generations()
        .where((where) => scope.dialect.isOneOf(where.ref('index_generations.bot_id'), botIds))
        .where('state', 'in', [...states])
        .orderBy('number')
        .execute();
      return rows.map(toGeneration);
    },
    async lacking(botIds, generation) {
      if (!scope.dialect.readsShareConnection) return findLacking(scope, botIds, generation);
      const found: string[] = [];
      for (const botId of botIds) found.push(...(await findLacking(scope, [botId], generation)));
      return found;
    },
    async update(id, { from, ...changes }) {
      return scope.atomically(async (transaction) => {
        const row = await transaction
          .update('index_generations')
          .set(toChangedColumns(changes))
          .where('id', '=', id)
          .$if(from !== undefined, (query) => query.where('state', 'in', [...(from ?? [])]))
          .returning('bot_id')
          .executeTakeFirst();
        if (row !== undefined && changes.state?.type === 'active') {
          await reviseContent(transaction, { botId: row.bot_id });
        }
        return row !== undefined;
      });
    },
    async delete(id) {
      const { numDeletedRows } = await scope.delete('index_generations').where('id', '=', id).executeTakeFirst();
      return numDeletedRows > 0n;
    },
    async removeVectors(botId, generation, limit) {
      const { space, chunkSet } = indexParts(generation);
      const chosen = scope
        .select('chunk_vectors')
        .innerJoin('chunks', 'chunks.number', 'chunk_vectors.chunk_number')
        .select('chunk_vectors.chunk_number')
        .where('chunk_vectors.bot_id', '=', botId)
        .where('chunk_vectors.generation', '=', space)
        .where('chunks.chunk_set', '=', chunkSetOr(chunkSet))
        .limit(limit);
      const { numDeletedRows } = await scope
        .delete('chunk_vectors')
        .where('generation', '=', space)
        .where('chunk_number', 'in', chosen)
        .executeTakeFirst();
      return Number(numDeletedRows);
    },
    removeChunks: (botId, chunkSet, limit) =>
      scope.atomically(async (transaction) => {
        await transaction.lexical.drop(botId, chunkSet);
        const chosen = transaction
          .select('chunks')
          .select('chunks.number')
          .where('bot_id', '=', botId)
          .where('chunk_set', '=', chunkSet)
          .limit(limit);
        const { numDeletedRows } = await transaction.delete('chunks').where('number', 'in', chosen).executeTakeFirst();
        return Number(numDeletedRows);
      }),
  };
}

async function findLacking(
  scope: TenantScope,
  botIds: readonly string[],
  generation: string,
): Promise<readonly string[]> {
  const { space, chunkSet } = indexParts(generation);
  const rows = await scope
    .select('bots')
    .select('bots.id')
    .where((where) => scope.dialect.isOneOf(where.ref('bots.id'), botIds))
    .where((where) =>
      where.or([
        where.exists(
          where
            .selectFrom('documents')
            .select(sql.lit(1).as('one'))
            .whereRef('documents.tenant_id', '=', 'bots.tenant_id')
            // Joined, SQLite would walk through the documents of all bots of the tenant.
            .where('documents.source_id', 'in', (of) =>
              of
                .selectFrom('sources')
                .select('sources.id')
                .whereRef('sources.tenant_id', '=', 'bots.tenant_id')
                .whereRef('sources.bot_id', '=', 'bots.id'),
            )
            .where('documents.state', '=', 'searchable')
            .where((inner) =>
              inner.not(
                inner.exists(
                  inner
                    .selectFrom('chunks')
                    .select(sql.lit(1).as('one'))
                    .whereRef('chunks.tenant_id', '=', 'documents.tenant_id')
                    .whereRef('chunks.document_id', '=', 'documents.id')
                    .where('chunks.chunk_set', '=', chunkSetOr(chunkSet)),
                ),
              ),
            )
            .limit(1)
            .offset(0),
        ),
        where.exists(
          where
            .selectFrom('chunks')
            .innerJoin('documents', (join) =>
              join
                .onRef('documents.tenant_id', '=', 'chunks.tenant_id')
                .onRef('documents.id', '=', 'chunks.document_id'),
            )
            .leftJoin('chunk_vectors', (join) =>
              join.onRef('chunk_vectors.chunk_number', '=', 'chunks.number').on('chunk_vectors.generation', '=', space),
            )
            .select(sql.lit(1).as('one'))
            .whereRef('chunks.tenant_id', '=', 'bots.tenant_id')
            .whereRef('chunks.bot_id', '=', 'bots.id')
            .where('chunks.chunk_set', '=', chunkSetOr(chunkSet))
            .where('documents.state', '=', 'searchable')
            .where('chunk_vectors.chunk_number', 'is', null)
            // With an offset, PostgreSQL asks for each bot in place of making one set of all that anybody lacks.
            .limit(1)
            .offset(0),
        ),
      ]),
    )
    .execute();
  return rows.map(({ id }) => id);
}

function explain(scope: TenantScope, error: unknown): unknown {
  if (scope.dialect.isMissingParent(error)) {
    return new AppError('bot_not_found', 'There is no such bot.', { cause: error });
  }
  if (scope.dialect.violatedUniqueColumns(error)?.includes('index_generations.bot_id')) {
    return new AppError('generation_busy', 'The bot has an active generation already. Try again.', {
      retryable: true,
      cause: error,
    });
  }
  return error;
}

function toRow(generation: Omit<Generation, 'tenantId'>): NewRow<'index_generations'> {
  const { state } = generation;
  return {
    id: generation.id,
    bot_id: generation.botId,
    state: state.type,
    state_at: state.at,
    error_json: state.type === 'failed' ? writeJson(state.error) : null,
    embedding_model: generation.embeddingModel,
    embedder_version: generation.embedderVersion,
    dimensions: generation.dimensions,
    chunk_set: generation.chunkSet,
    chunking_json: writeJson(generation.chunking),
    origin: generation.origin,
    policy: generation.policy,
    progress_done: generation.progress.done,
    progress_total: generation.progress.total,
    comparison_json: writeJsonOrNull(generation.comparison),
    job_id: generation.jobId,
    created_at: generation.createdAt,
    updated_at: generation.updatedAt,
  };
}

function toChangedColumns(
  changes: Omit<Parameters<GenerationRepository['update']>[1], 'from'>,
): Updateable<IndexGenerationsTable> {
  const { state } = changes;
  return changedColumns<
    Pick<
      IndexGenerationsTable,
      | 'state'
      | 'state_at'
      | 'error_json'
      | 'origin'
      | 'policy'
      | 'progress_done'
      | 'progress_total'
      | 'comparison_json'
      | 'job_id'
      | 'updated_at'
    >
  >({
    state: state?.type,
    state_at: state?.at,
    error_json: state === undefined ? undefined : state.type === 'failed' ? writeJson(state.error) : null,
    origin: changes.origin,
    policy: changes.policy,
    progress_done: changes.progress?.done,
    progress_total: changes.progress?.total,
    comparison_json: ifGiven(changes.comparison, writeJsonOrNull),
    job_id: changes.jobId,
    updated_at: changes.updatedAt,
  });
}

function toGeneration(row: Selectable<IndexGenerationsTable>): Generation {
  return {
    id: row.id,
    tenantId: row.tenant_id,
    botId: row.bot_id,
    state: stateOf(row),
    embeddingModel: row.embedding_model,
    embedderVersion: row.embedder_version,
    dimensions: row.dimensions,
    chunkSet: row.chunk_set,
    chunking: readJson<ChunkingStrategy>(row.chunking_json),
    origin: row.origin as Generation['origin'],
    policy: row.policy as Generation['policy'],
    progress: { done: row.progress_done, total: row.progress_total },
    comparison: readJsonOrNull<GenerationComparison>(row.comparison_json),
    jobId: row.job_id,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}

function stateOf(row: Selectable<IndexGenerationsTable>): GenerationState {
  const at = row.state_at;
  if (row.state !== 'failed') return { type: row.state as 'building', at };
  const error = readJsonOrNull<Failure>(row.error_json) ?? { code: 'internal_error', message: 'It failed.' };
  return { type: 'failed', at, error };
}
