import { type Selectable, sql } from 'kysely';
import { AppError } from '../kernel/index.ts';
import { changedColumns, ifGiven, readJson, readJsonOrNull, writeJson, writeJsonOrNull } from './json-columns.ts';
import { fetchTenantPage } from './paging.ts';
import type { SyncItemsTable, SyncRunsTable } from './schema.ts';
import type { SyncItem, SyncRun } from './sync-entities.ts';
import type { SyncRunRepository } from './sync-ports.ts';
import type { TenantScope } from './tenant-scope.ts';

/** Keeps a statement's parameters (8 an item) below every engine's limit. */
const ITEMS_PER_INSERT = 500;

export function createSyncRunRepository(scope: TenantScope): SyncRunRepository {
  const runs = () => scope.select('sync_runs').selectAll('sync_runs');
  const items = (runId: string) => scope.select('sync_items').selectAll('sync_items').where('run_id', '=', runId);
  return {
    create: (run, asked) =>
      scope.atomically(async (transaction) => {
        try {
          await transaction.insert('sync_runs', [toRow(run)]).execute();
        } catch (error) {
          if (!scope.dialect.isMissingParent(error)) throw error;
          throw new AppError('bot_not_found', 'There is no such bot.', { cause: error });
        }
        for (let first = 0; first < asked.length; first += ITEMS_PER_INSERT) {
          const rows = asked.slice(first, first + ITEMS_PER_INSERT).map((item) => toItemRow(run, item));
          await transaction.insert('sync_items', rows).execute();
        }
      }),
    async get(botId, id) {
      const row = await runs().where('bot_id', '=', botId).where('id', '=', id).executeTakeFirst();
      return row === undefined ? null : toRun(row);
    },
    list: (botId, page) =>
      fetchTenantPage(scope, runs().where('bot_id', '=', botId), { table: 'sync_runs', page, toItem: toRun }),
    async update(id, { status, receipt, endedAt }) {
      const columns = changedColumns<Pick<SyncRunsTable, 'status' | 'receipt_json' | 'ended_at'>>({
        status,
        receipt_json: ifGiven(receipt, writeJson),
        ended_at: endedAt,
      });
      await scope.update('sync_runs').set(columns).where('id', '=', id).execute();
    },
    async items(runId, { actions, states, after = 0, limit }) {
      const rows = await items(runId)
        .where('action', 'in', [...actions])
        .where('state', 'in', [...states])
        .where('number', '>', after)
        .orderBy('number')
        .limit(limit)
        .execute();
      return rows.map(toItem);
    },
    async findItem(runId, externalKey) {
      const row = await items(runId).where('external_key', '=', externalKey).executeTakeFirst();
      return row === undefined ? null : toItem(row);
    },
    async count(runId) {
      const rows = await scope
        .select('sync_items')
        .select(['action', 'state', sql<number>`count(*)`.as('count')])
        .where('run_id', '=', runId)
        .groupBy(['action', 'state'])
        .execute();
      return rows.map(({ action, state, count }) => ({
        action: action as SyncItem['action'],
        state: state as SyncItem['state'],
        count: Number(count),
      }));
    },
    async setState(runId, { externalKeys, action, state }) {
      if (externalKeys.length === 0) return;
      await scope
        .update('sync_items')
        .set({ state })
        .where('run_id', '=', runId)
        .where('action', '=', action)
        .where('state', '!=', 'done')
        .where((where) => scope.dialect.isOneOf(where.ref('sync_items.external_key'), externalKeys))
        .execute();
    },
    async noteUpload(botId, externalKey) {
      await scope
        .update('sync_items')
        .set({ state: sql<string>`case action when 'delete' then 'kept' else 'done' end` })
        .where('bot_id', '=', botId)
        .where('external_key', '=', externalKey)
        .where('state', '=', 'asked')
        .where('action', '!=', 'relabel')
        .execute();
    },
  };
}

function toRow(run: Omit<SyncRun, 'tenantId'>) {
  return {
    id: run.id,
    bot_id: run.botId,
    status: run.status,
    prune: Number(run.prune),
    prefix: run.prefix,
    unchanged: run.unchanged,
    receipt_json: writeJson(run.receipt),
    created_at: run.createdAt,
    expires_at: run.expiresAt,
    ended_at: run.endedAt,
  };
}

function toItemRow(run: Pick<SyncRun, 'id' | 'botId'>, item: Omit<SyncItem, 'position' | 'state'>) {
  return {
    bot_id: run.botId,
    run_id: run.id,
    action: item.action,
    state: 'asked',
    external_key: item.externalKey,
    source_id: item.sourceId,
    metadata_json: writeJsonOrNull(item.metadata),
  };
}

function toRun(row: Selectable<SyncRunsTable>): SyncRun {
  return {
    id: row.id,
    tenantId: row.tenant_id,
    botId: row.bot_id,
    status: row.status as SyncRun['status'],
    prune: row.prune === 1,
    prefix: row.prefix,
    unchanged: row.unchanged,
    receipt: readJson<SyncRun['receipt']>(row.receipt_json),
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    endedAt: row.ended_at,
  };
}

function toItem(row: Selectable<SyncItemsTable>): SyncItem {
  return {
    position: row.number,
    action: row.action as SyncItem['action'],
    state: row.state as SyncItem['state'],
    externalKey: row.external_key,
    sourceId: row.source_id,
    metadata: readJsonOrNull<NonNullable<SyncItem['metadata']>>(row.metadata_json),
  };
}
