import type { Selectable } from 'kysely';
import { AppError } from '../kernel/index.ts';
import type { Message } from './entities.ts';
import { readJson, writeJson } from './json-columns.ts';
import { fetchTenantPage } from './paging.ts';
import type { MessageRepository } from './ports.ts';
import type { MessagesTable } from './schema.ts';
import type { TenantScope } from './tenant-scope.ts';

export function createMessageRepository(scope: TenantScope): MessageRepository {
  const messages = () => scope.select('messages').selectAll('messages');
  const complete = ({ id, conversation_id, ...row }: ReturnType<typeof toRow>) =>
    scope
      .update('messages')
      .set(row)
      .where('id', '=', id)
      .where('conversation_id', '=', conversation_id)
      .where('status', '=', 'incomplete')
      .execute();
  return {
    async append(message) {
      try {
        const row = toRow(message);
        const inserted = await scope
          .insert('messages', [row])
          .onConflict((conflict) => conflict.doNothing())
          .returning('id')
          .executeTakeFirst();
        if (inserted === undefined) await complete(row);
      } catch (error) {
        if (!scope.dialect.isMissingParent(error)) throw error;
        throw new AppError('conversation_not_found', 'There is no such conversation.', { cause: error });
      }
    },
    async get(id) {
      const row = await messages().where('id', '=', id).executeTakeFirst();
      return row === undefined ? null : toMessage(row);
    },
    list: (conversationId, page) =>
      fetchTenantPage(scope, messages().where('conversation_id', '=', conversationId), {
        table: 'messages',
        page,
        toItem: toMessage,
      }),
  };
}

function toRow(message: Omit<Message, 'tenantId'>) {
  return {
    id: message.id,
    bot_id: message.botId,
    conversation_id: message.conversationId,
    role: message.role,
    content: message.content,
    status: message.status,
    citations_json: writeJson(message.citations),
    grounded: message.grounded === null ? null : Number(message.grounded),
    served_by: message.servedBy,
    stream_json: message.stream === undefined ? null : writeJson(message.stream),
    created_at: message.createdAt,
  };
}

function toMessage(row: Selectable<MessagesTable>): Message {
  return {
    id: row.id,
    tenantId: row.tenant_id,
    botId: row.bot_id,
    conversationId: row.conversation_id,
    role: row.role as Message['role'],
    content: row.content,
    status: row.status as Message['status'],
    citations: readJson<Message['citations']>(row.citations_json),
    grounded: row.grounded === null ? null : row.grounded === 1,
    servedBy: row.served_by,
    ...(row.stream_json === null ? {} : { stream: readJson<NonNullable<Message['stream']>>(row.stream_json) }),
    createdAt: row.created_at,
  };
}
