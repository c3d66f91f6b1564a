import type { Selectable } from 'kysely';
import { AppError } from '../kernel/index.ts';
import type { Conversation } from './entities.ts';
import { changedColumns, readJson, writeJson } from './json-columns.ts';
import { fetchTenantPage } from './paging.ts';
import type { ConversationRepository } from './ports.ts';
import type { ConversationsTable } from './schema.ts';
import type { TenantScope } from './tenant-scope.ts';

export function createConversationRepository(scope: TenantScope): ConversationRepository {
  const conversations = () => scope.select('conversations').selectAll('conversations');
  return {
    async create(conversation) {
      try {
        await scope.insert('conversations', [toRow(conversation)]).execute();
      } catch (error) {
        if (!scope.dialect.isMissingParent(error)) throw error;
        throw new AppError('bot_not_found', 'There is no such bot.', { cause: error });
      }
    },
    async get(id) {
      const row = await conversations().where('id', '=', id).executeTakeFirst();
      return row === undefined ? null : toConversation(row);
    },
    list({ botId, endUser, ...page }) {
      let query = conversations();
      if (botId !== undefined) query = query.where('bot_id', '=', botId);
      if (endUser !== undefined) query = query.where('end_user', '=', endUser);
      return fetchTenantPage(scope, query, { table: 'conversations', page, toItem: toConversation });
    },
    async update(id, changes) {
      const columns = changedColumns<
        Pick<ConversationsTable, 'title' | 'summary' | 'summarized_through' | 'summarized_at' | 'updated_at'>
      >({
        title: changes.title,
        summary: changes.summary,
        summarized_through: changes.summarizedThrough,
        summarized_at: changes.summarizedAt,
        updated_at: changes.updatedAt,
      });
      await scope.update('conversations').set(columns).where('id', '=', id).execute();
    },
    async delete(id) {
      const { numDeletedRows } = await scope.delete('conversations').where('id', '=', id).executeTakeFirst();
      return numDeletedRows > 0n;
    },
  };
}

function toRow(conversation: Omit<Conversation, 'tenantId'>) {
  return {
    id: conversation.id,
    bot_id: conversation.botId,
    end_user: conversation.endUser,
    title: conversation.title,
    summary: conversation.summary,
    summarized_through: conversation.summarizedThrough,
    summarized_at: conversation.summarizedAt,
    metadata_json: writeJson(conversation.metadata),
    created_at: conversation.createdAt,
    updated_at: conversation.updatedAt,
  };
}

function toConversation(row: Selectable<ConversationsTable>): Conversation {
  return {
    id: row.id,
    tenantId: row.tenant_id,
    botId: row.bot_id,
    endUser: row.end_user,
    title: row.title,
    summary: row.summary,
    summarizedThrough: row.summarized_through,
    summarizedAt: row.summarized_at,
    metadata: readJson<Conversation['metadata']>(row.metadata_json),
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}
