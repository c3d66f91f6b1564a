import { type Kysely, type Selectable, sql } from 'kysely';
import { readJsonOrNull, writeJson } from './json-columns.ts';
import { fetchTenantPage } from './paging.ts';
import type { Schema } from './schema.ts';
import type { UsageTable } from './schema-usage.ts';
import type { SqlDialect } from './sql-dialect.ts';
import type { TenantScope } from './tenant-scope.ts';
import type { FrozenPrice, UsageRow } from './usage-entities.ts';
import type { UsageLedgerStore, UsageRepository } from './usage-ports.ts';
import { summarizeUsage, usageWhere } from './usage-summary.ts';

/** Keeps a statement's parameters (25 a row) below every engine's limit. */
const ROWS_PER_INSERT = 200;

export function createUsageRepository(scope: TenantScope): UsageRepository {
  return {
    async list(page) {
      const price = sql<string | null>`(select price_json from usage_prices where usage_prices.id = usage.price_id)`;
      const rows = usageWhere(scope.select('usage').selectAll('usage').select(price.as('price_json')), page);
      return fetchTenantPage(scope, rows, {
        table: 'usage',
        page,
        toItem: (row) => ({ ...toUsageRow(row), price: readJsonOrNull<FrozenPrice>(row.price_json) }),
      });
    },
    summarize: (query) => summarizeUsage(scope.select('usage'), query),
  };
}

export function createUsageLedgerStore({
  database,
  background,
  dialect,
}: {
  readonly database: Kysely<Schema>;
  /** See `StoreOptions`. */
  readonly background: Kysely<Schema>;
  readonly dialect: SqlDialect;
}): UsageLedgerStore {
  async function insert(rows: readonly UsageRow[], prices: readonly FrozenPrice[]): Promise<void> {
    await background.transaction().execute(async (transaction) => {
      if (prices.length > 0) {
        await transaction
          .insertInto('usage_prices')
          .values(prices.map((price) => ({ id: price.id, price_json: writeJson(price) })))
          .onConflict((conflict) => conflict.column('id').doNothing())
          .execute();
      }
      for (let first = 0; first < rows.length; first += ROWS_PER_INSERT) {
        await transaction
          .insertInto('usage')
          .values(rows.slice(first, first + ROWS_PER_INSERT).map(toColumns))
          .execute();
      }
    });
  }

  async function tenantsOf(rows: readonly UsageRow[]): Promise<ReadonlySet<string>> {
    const ids = [...new Set(rows.map(({ tenantId }) => tenantId))];
    const found = await background.selectFrom('tenants').select('id').where('id', 'in', ids).execute();
    return new Set(found.map(({ id }) => id));
  }

  return {
    async add(rows, prices) {
      if (rows.length === 0) return;
      try {
        await insert(rows, prices);
      } catch (error) {
        if (!dialect.isMissingParent(error)) throw error;
        const known = await tenantsOf(rows);
        const kept = rows.filter(({ tenantId }) => known.has(tenantId));
        if (kept.length > 0) await insert(kept, prices);
      }
    },
    summarize: (query) => summarizeUsage(database.selectFrom('usage'), query),
  };
}

function toColumns(usage: UsageRow) {
  return {
    id: usage.id,
    tenant_id: usage.tenantId,
    bot_id: usage.botId,
    key_id: usage.keyId,
    end_user: usage.endUser,
    conversation_id: usage.conversationId,
    answer_id: usage.answerId,
    kind: usage.kind,
    model: usage.model,
    key_fingerprint: usage.keyFingerprint,
    input_tokens: usage.inputTokens,
    cached_input_tokens: usage.cachedInputTokens,
    output_tokens: usage.outputTokens,
    usage_source: usage.usageSource,
    outcome: usage.outcome,
    error_code: usage.errorCode,
    cache: usage.cache,
    calls: usage.calls,
    requests: usage.requests,
    cost_nano_usd: usage.costNanoUsd,
    price_id: usage.priceId,
    prompt_version: usage.promptVersion ?? null,
    first_token_ms: usage.firstTokenMs,
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
    answerId: row.answer_id,
    kind: row.kind as UsageRow['kind'],
    model: row.model,
    keyFingerprint: row.key_fingerprint,
    inputTokens: row.input_tokens,
    cachedInputTokens: row.cached_input_tokens,
    outputTokens: row.output_tokens,
    usageSource: row.usage_source as UsageRow['usageSource'],
    outcome: row.outcome as UsageRow['outcome'],
    errorCode: row.error_code,
    cache: row.cache as UsageRow['cache'],
    calls: row.calls,
    requests: row.requests,
    costNanoUsd: row.cost_nano_usd,
    priceId: row.price_id,
    ...(row.prompt_version === null ? {} : { promptVersion: row.prompt_version }),
    firstTokenMs: row.first_token_ms,
    durationMs: row.duration_ms,
    createdAt: row.created_at,
  };
}
