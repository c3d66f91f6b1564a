import type { Selectable } from 'kysely';
import type { IdempotencyRecord } from './entities.ts';
import { isDead } from './leases.ts';
import type { IdempotencyRepository } from './ports.ts';
import type { IdempotencyTable } from './schema.ts';
import type { TenantScope } from './tenant-scope.ts';

/** `processId`: who claims here. */
export function createIdempotencyRepository(scope: TenantScope, processId: string): IdempotencyRepository {
  return {
    claim: ({ key, fingerprint, createdAt, body = null }) =>
      scope.atomically(async (transaction) => {
        const row = { key, fingerprint, state: 'running', status: null, body, created_at: createdAt, owner: processId };
        const insert = () =>
          transaction
            .insert('idempotency', [row])
            .onConflict((conflict) => conflict.columns(['tenant_id', 'key']).doNothing())
            .returning('key')
            .executeTakeFirst();
        for (;;) {
          if ((await insert()) !== undefined) return null;
          const { numDeletedRows } = await transaction
            .delete('idempotency')
            .where('key', '=', key)
            .where('state', '=', 'running')
            .where('body', 'is', null)
            .where('owner', '!=', processId)
            .where(({ ref }) => isDead(ref('idempotency.owner'), createdAt))
            .executeTakeFirst();
          if (numDeletedRows > 0n) continue;
          const holder = await transaction
            .select('idempotency')
            .selectAll('idempotency')
            .select(({ ref }) => isDead(ref('idempotency.owner'), createdAt).as('is_dead'))
            .where('key', '=', key)
            .executeTakeFirst();
          // Unless its holder has released it just now.
          if (holder === undefined) continue;
          const isAbandoned = holder.state === 'running' && holder.owner !== processId && Boolean(holder.is_dead);
          return { ...toRecord(holder), ...(isAbandoned ? { isAbandoned } : {}) };
        }
      }),
    async complete(key, response) {
      await scope
        .update('idempotency')
        .set({ state: 'done', status: response.status, body: response.body })
        .where('key', '=', key)
        .where('state', '=', 'running')
        .where('owner', '=', processId)
        .execute();
    },
    async passOn(key, { from, to }) {
      const { numUpdatedRows } = await scope
        .update('idempotency')
        .set({ state: 'running', status: null, body: to.body, created_at: to.createdAt, owner: processId })
        .where('key', '=', key)
        .where('body', '=', from)
        .executeTakeFirst();
      return numUpdatedRows > 0n;
    },
    async release(key) {
      await scope
        .delete('idempotency')
        .where('key', '=', key)
        .where('state', '=', 'running')
        .where('owner', '=', processId)
        .execute();
    },
  };
}

function toRecord(row: Selectable<IdempotencyTable>): IdempotencyRecord {
  return {
    key: row.key,
    fingerprint: row.fingerprint,
    state: row.state as IdempotencyRecord['state'],
    status: row.status,
    body: row.body,
    createdAt: row.created_at,
  };
}
