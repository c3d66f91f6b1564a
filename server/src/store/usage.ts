import type { Selectable } from 'kysely';
import type { UsageRow } from './entities.ts';
import { fetchTenantPage } from './paging.ts';
import type { UsageRepository } from './ports.ts';
import type { UsageTable } from './schema.ts';
import type { TenantScope } from './tenant-scope.ts';

/** Keeps a statement's parameters (14 a row) below every engine's limit. */
const ROWS_PER_INSERT = 200;

export function createUsageRepository(scope: TenantScope): UsageRepository {
  return {
    async add(rows) {
      if (rows.length === 0) return;
      await scope.atomically(async (transaction) => {
        for (let first = 0; first < rows.length; first += ROWS_PER_INSERT) {
          await transaction.insert('usage', rows.slice(first, first + ROWS_PER_INSERT).map(toRow)).execute();
        }
      });
    },
    list: (page) =>
      fetchTenantPage(scope, scope.select('usage').selectAll('usage'), { table: 'usage', page, toItem: toUsageRow }),
  };
}

function toRow(usage: Omit<UsageRow, 'tenantId'>) {
  return {
    id: usage.id,
    bot_id: usage.botId,
    key_id: usage.keyId,
    end_user: usage.endUser,
    conversation_id: usage.conversationId,
    kind: usage.kind,
    model: usage.model,
    input_tokens: usage.inputTokens,
    output_tokens: usage.outputTokens,
    outcome: usage.outcome,
    duration_ms: usage.durationMs,
    created_at: usage.createdAt,
  };
}

function toUsageRow(row: Selectable<UsageTable>): UsageRow {
  return {
    id: row.id,
    tenantId: row.tenant_id,
    botId: row.bot_id,
    keyId: row.key_id,
    endUser: row.end_user,
    conversationId: row.conversation_id,
    kind: row.kind as UsageRow['kind'],
    model: row.model,
    inputTokens: row.input_tokens,
    outputTokens: row.output_tokens,
    outcome: row.outcome as UsageRow['outcome'],
    durationMs: row.duration_ms,
    createdAt: row.created_at,
  };
}
