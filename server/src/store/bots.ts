import { type Selectable, sql, type Updateable } from 'kysely';
import { AppError } from '../kernel/index.ts';
import { newRevision } from './content-revision.ts';
import type { Bot, BotModel, BotSettings, ChunkingStrategy, PromptSetting } from './entities.ts';
import { changedColumns, ifGiven, readJson, writeJson, writeJsonOrNull } from './json-columns.ts';
import { fetchTenantPage } from './paging.ts';
import type { BotRepository } from './ports.ts';
import type { BotsTable } from './schema.ts';
import type { SqlDialect } from './sql-dialect.ts';
import type { RemovalReceipt } from './sync-entities.ts';
import type { TenantScope } from './tenant-scope.ts';

export function createBotRepository(scope: TenantScope): BotRepository {
  return {
    create: (bot) => namingTakenSlugs(scope.dialect, () => scope.insert('bots', [toRow(bot)]).execute()).then(() => {}),
    async get(idOrSlug) {
      const rows = await scope
        .select('bots')
        .selectAll()
        .where((where) => where.or([where('id', '=', idOrSlug), where('slug', '=', idOrSlug)]))
        .execute();
      const row = rows.find(({ id }) => id === idOrSlug) ?? rows[0];
      return row === undefined ? null : toBot(row);
    },
    list: (page) => fetchTenantPage(scope, scope.select('bots').selectAll(), { table: 'bots', page, toItem: toBot }),
    async update(id, changes) {
      const row = await namingTakenSlugs(scope.dialect, () =>
        scope
          .update('bots')
          .set({ ...toChangedColumns(changes), content_revision: newRevision() })
          .where('id', '=', id)
          .returningAll()
          .executeTakeFirst(),
      );
      return row === undefined ? null : toBot(row);
    },
    async contentRemovedAt(id) {
      const row = await scope.select('bots').select('content_removed_at').where('id', '=', id).executeTakeFirst();
      return row?.content_removed_at ?? null;
    },
    delete: (id) =>
      scope.atomically(async (transaction) => {
        const receipt = await countAll(transaction, id);
        const { numDeletedRows } = await transaction.delete('bots').where('id', '=', id).executeTakeFirst();
        if (numDeletedRows === 0n) return null;
        await transaction.delete('jobs').where('bot_id', '=', id).execute();
        await transaction.lexical.drop(id);
        return receipt;
      }),
  };
}

/** Everything that the bot was trained on, counted. */
async function countAll(scope: TenantScope, botId: string): Promise<RemovalReceipt> {
  const count = async (table: 'documents' | 'chunks'): Promise<number> => {
    const row = await scope
      .select(table)
      .select(sql<number>`count(*)`.as('count'))
      // There is no index on the bot of documents: all those of the tenant would be walked through.
      .where(
        sql.ref(`${table}.source_id`),
        'in',
        scope.select('sources').select('sources.id').where('bot_id', '=', botId),
      )
      .executeTakeFirstOrThrow();
    return Number((row as { readonly count: number }).count);
  };
  const vectors = await scope
    .select('chunk_vectors')
    .select(sql<number>`coalesce(sum(windows), 0)`.as('count'))
    .where('bot_id', '=', botId)
    .executeTakeFirstOrThrow();
  const inputs = await scope.select('sources').select('inputs_json').where('bot_id', '=', botId).execute();
  return {
    sources: inputs.length,
    documents: await count('documents'),
    chunks: await count('chunks'),
    vectors: Number(vectors.count),
    files: inputs.reduce((sum, { inputs_json }) => sum + readJson<unknown[]>(inputs_json).length, 0),
  };
}

async function namingTakenSlugs<Result>(dialect: SqlDialect, write: () => Promise<Result>): Promise<Result> {
  try {
    return await write();
  } catch (error) {
    if (dialect.violatedUniqueColumns(error)?.includes('bots.slug')) {
      throw new AppError('slug_taken', 'Another bot already has this slug. Choose another one.', {
        param: 'slug',
        cause: error,
      });
    }
    if (dialect.isMissingParent(error)) {
      throw new AppError('tenant_not_found', 'There is no such tenant.', { cause: error });
    }
    throw error;
  }
}

function toRow(bot: Omit<Bot, 'tenantId'>) {
  return {
    id: bot.id,
    name: bot.name,
    slug: bot.slug,
    instructions: bot.instructions,
    model: bot.model,
    temperature: bot.temperature,
    max_output_tokens: bot.maxOutputTokens,
    refusal_message: bot.refusalMessage,
    retrieval_json: writeJson(bot.retrieval),
    privacy_json: writeJson(bot.privacy),
    metadata_json: writeJson(bot.metadata),
    chunking_json: writeJsonOrNull(bot.chunking ?? null),
    prompt_json: writeJsonOrNull(bot.prompt ?? null),
    models_json: writeJsonOrNull(bot.models ?? null),
    created_at: bot.createdAt,
    updated_at: bot.updatedAt,
  };
}

function toChangedColumns(changes: Parameters<BotRepository['update']>[1]): Updateable<BotsTable> {
  return changedColumns<
    Omit<BotsTable, 'number' | 'id' | 'tenant_id' | 'created_at' | 'content_removed_at' | 'content_revision'>
  >({
    name: changes.name,
    slug: changes.slug,
    instructions: changes.instructions,
    model: changes.model,
    temperature: changes.temperature,
    max_output_tokens: changes.maxOutputTokens,
    refusal_message: changes.refusalMessage,
    retrieval_json: ifGiven(changes.retrieval, writeJson),
    privacy_json: ifGiven(changes.privacy, writeJson),
    metadata_json: ifGiven(changes.metadata, writeJson),
    chunking_json: ifGiven(changes.chunking, writeJsonOrNull),
    prompt_json: ifGiven(changes.prompt, writeJsonOrNull),
    models_json: ifGiven(changes.models, writeJsonOrNull),
    updated_at: changes.updatedAt,
  });
}

function toBot(row: Selectable<BotsTable>): Bot {
  return {
    id: row.id,
    tenantId: row.tenant_id,
    name: row.name,
    slug: row.slug,
    instructions: row.instructions,
    model: row.model,
    temperature: row.temperature,
    maxOutputTokens: row.max_output_tokens,
    refusalMessage: row.refusal_message,
    retrieval: readJson<BotSettings['retrieval']>(row.retrieval_json),
    privacy: readJson<BotSettings['privacy']>(row.privacy_json),
    metadata: readJson<BotSettings['metadata']>(row.metadata_json),
    ...(row.chunking_json === null ? {} : { chunking: readJson<ChunkingStrategy>(row.chunking_json) }),
    ...(row.prompt_json === null ? {} : { prompt: readJson<PromptSetting>(row.prompt_json) }),
    ...(row.models_json === null ? {} : { models: readJson<readonly BotModel[]>(row.models_json) }),
    ...(row.content_revision === null ? {} : { contentRevision: row.content_revision }),
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}
