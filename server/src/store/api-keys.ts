import type { Selectable } from 'kysely';
import { AppError } from '../kernel/index.ts';
import type { ApiKey } from './entities.ts';
import { readJson, readJsonOrNull, writeJson, writeJsonOrNull } from './json-columns.ts';
import { fetchTenantPage } from './paging.ts';
import type { ApiKeyRepository } from './ports.ts';
import type { ApiKeysTable } from './schema.ts';
import type { TenantScope } from './tenant-scope.ts';

export function createApiKeyRepository(scope: TenantScope): ApiKeyRepository {
  const keys = () => scope.select('api_keys').selectAll('api_keys');
  return {
    async create(key) {
      try {
        await scope.insert('api_keys', [toRow(key)]).execute();
      } catch (error) {
        if (!scope.dialect.isMissingParent(error)) throw error;
        throw new AppError('tenant_not_found', 'There is no such tenant.', { cause: error });
      }
    },
    async get(id) {
      const row = await keys().where('id', '=', id).executeTakeFirst();
      return row === undefined ? null : toApiKey(row);
    },
    list: (page) => fetchTenantPage(scope, keys(), { table: 'api_keys', page, toItem: toApiKey }),
    async revoke(id, now) {
      const { numUpdatedRows } = await scope
        .update('api_keys')
        .set((set) => ({ revoked_at: set.fn.coalesce('revoked_at', set.val(now)) }))
        .where('id', '=', id)
        .executeTakeFirst();
      return numUpdatedRows > 0n;
    },
  };
}

function toRow(key: Omit<ApiKey, 'tenantId'>) {
  return {
    id: key.id,
    name: key.name,
    secret_hash: key.secretHash,
    hint: key.hint,
    scopes_json: writeJson(key.scopes),
    bots_json: writeJsonOrNull(key.bots),
    origins_json: writeJsonOrNull(key.origins),
    limits_json: writeJson(key.limits),
    expires_at: key.expiresAt,
    revoked_at: key.revokedAt,
    last_used_at: key.lastUsedAt,
    created_at: key.createdAt,
  };
}

export function toApiKey(row: Selectable<ApiKeysTable>): ApiKey {
  return {
    id: row.id,
    tenantId: row.tenant_id,
    name: row.name,
    secretHash: row.secret_hash,
    hint: row.hint,
    scopes: readJson<ApiKey['scopes']>(row.scopes_json),
    bots: readJsonOrNull<string[]>(row.bots_json),
    origins: readJsonOrNull<string[]>(row.origins_json),
    limits: readJson<ApiKey['limits']>(row.limits_json),
    expiresAt: row.expires_at,
    revokedAt: row.revoked_at,
    lastUsedAt: row.last_used_at,
    createdAt: row.created_at,
  };
}
