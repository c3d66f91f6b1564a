import type { Source } from '../../store/index.ts';
import type { WireSource } from '../contract/index.ts';
import { toWireChunking } from './chunking.ts';
import { toSeconds } from './time.ts';

export function toWireSource(source: Source): WireSource {
  return {
    id: source.id,
    object: 'source',
    bot_id: source.botId,
    type: source.type,
    title: source.title,
    url: source.url,
    status: source.status,
    stage: source.stage,
    progress: { ...source.progress },
    counts: { ...source.counts },
    last_error: source.lastError && { ...source.lastError },
    job_id: source.jobId,
    external_key: source.externalKey,
    metadata: { ...source.metadata },
    chunking_strategy: source.chunking ? toWireChunking(source.chunking) : null,
    ...toWireWeb(source.web),
    created_at: toSeconds(source.createdAt),
    updated_at: toSeconds(source.updatedAt),
  };
}

function toWireWeb(
  web: Source['web'],
): Pick<WireSource, 'crawl' | 'sync_interval_seconds' | 'last_synced_at' | 'next_sync_at'> {
  if (web === undefined) return { crawl: null, sync_interval_seconds: null, last_synced_at: null, next_sync_at: null };
  const { include, exclude, maxPages, syncIntervalMs, lastSyncedAt, nextSyncAt } = web;
  return {
    crawl: { include: [...include], exclude: [...exclude], max_pages: maxPages },
    sync_interval_seconds: syncIntervalMs === null ? null : Math.round(syncIntervalMs / 1_000),
    last_synced_at: lastSyncedAt === null ? null : toSeconds(lastSyncedAt),
    next_sync_at: nextSyncAt === null ? null : toSeconds(nextSyncAt),
  };
}
