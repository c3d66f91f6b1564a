import type { Selectable } from 'kysely';
import type { Source } from './entities.ts';
import { readJson, writeJson } from './json-columns.ts';
import type { SourcesTable } from './schema.ts';
import type { WebSource } from './web-source.ts';

export function toWebColumns(web: WebSource | null) {
  if (web === null) return { web_json: null, sync_interval_ms: null, last_synced_at: null, next_sync_at: null };
  const { syncIntervalMs, lastSyncedAt, nextSyncAt, ...settings } = web;
  return {
    web_json: writeJson(settings),
    sync_interval_ms: syncIntervalMs,
    last_synced_at: lastSyncedAt,
    next_sync_at: nextSyncAt,
  };
}

export function toWebSource(row: Selectable<SourcesTable>): Pick<Source, 'web'> {
  if (row.web_json === null) return {};
  const settings = readJson<Pick<WebSource, 'include' | 'exclude' | 'maxPages'>>(row.web_json);
  return {
    web: {
      ...settings,
      syncIntervalMs: row.sync_interval_ms,
      lastSyncedAt: row.last_synced_at,
      nextSyncAt: row.next_sync_at,
    },
  };
}

/** Undefined: the columns stay as they are. */
export function toChangedWebColumns(web: WebSource | null | undefined) {
  if (web !== undefined) return toWebColumns(web);
  return { web_json: undefined, sync_interval_ms: undefined, last_synced_at: undefined, next_sync_at: undefined };
}
