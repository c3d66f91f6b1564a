import type { Selectable } from 'kysely';
import type { IdempotencyRecord } from './entities.ts';
import type { IdempotencyRepository } from './ports.ts';
import type { IdempotencyTable } from './schema.ts';
import type { TenantScope } from './tenant-scope.ts';

export function createIdempotencyRepository(scope: TenantScope): IdempotencyRepository {
  return {
    claim: ({ key, fingerprint, createdAt, body = null }) =>
      scope.atomically(async (transaction) => {
        const row = { key, fingerprint, state: 'running', status: null, body, created_at: createdAt };
        const claimed = await transaction
          .insert('idempotency', [row])
          .onConflict((conflict) => conflict.columns(['tenant_id', 'key']).doNothing())
          .returning('key')
          .executeTakeFirst();
        if (claimed !== undefined) return null;
        const holder = await transaction
          .select('idempotency')
          .selectAll('idempotency')
          .where('key', '=', key)
          .executeTakeFirstOrThrow();
        return toRecord(holder);
      }),
    async complete(key, response) {
      await scope
        .update('idempotency')
        .set({ state: 'done', status: response.status, body: response.body })
        .where('key', '=', key)
        .execute();
    },
    async passOn(key, { from, to }) {
      const { numUpdatedRows } = await scope
        .update('idempotency')
        .set({ state: 'running', status: null, body: to.body, created_at: to.createdAt })
        .where('key', '=', key)
        .where('body', '=', from)
        .executeTakeFirst();
      return numUpdatedRows > 0n;
    },
    async release(key) {
      await scope.delete('idempotency').where('key', '=', key).where('state', '=', 'running').execute();
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
