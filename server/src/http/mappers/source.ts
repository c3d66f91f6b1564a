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
    created_at: toSeconds(source.createdAt),
    updated_at: toSeconds(source.updatedAt),
  };
}
