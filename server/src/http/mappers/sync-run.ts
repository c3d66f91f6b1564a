import type { KeyedSource } from '../../store/index.ts';
import type { SyncRunState, SyncRunWithPlan, UploadOutcome } from '../../training/index.ts';
import type { WireSyncRun, WireSyncUpload } from '../contract/index.ts';
import { toWireSource } from './source.ts';
import { toSeconds } from './time.ts';

export function toWireSyncRun({ run, status, counts }: SyncRunState): WireSyncRun {
  return {
    id: run.id,
    object: 'sync_run',
    bot_id: run.botId,
    status,
    prune: run.prune,
    prefix: run.prefix,
    counts: { ...counts },
    receipt: { ...run.receipt },
    created_at: toSeconds(run.createdAt),
    expires_at: toSeconds(run.expiresAt),
    ended_at: run.endedAt === null ? null : toSeconds(run.endedAt),
  };
}

export function toWireSyncRunWithPlan(
  state: SyncRunWithPlan & { readonly unsettled?: readonly KeyedSource[] },
): WireSyncRun {
  const { unsettled, upload, counts } = state;
  return {
    ...toWireSyncRun(state),
    plan: { upload, unchanged: counts.unchanged, delete: state.delete },
    ...(unsettled === undefined ? {} : { unsettled: unsettled.map(toWireUnsettled) }),
  };
}

function toWireUnsettled({ externalKey, id, status, lastError }: KeyedSource) {
  return { external_key: externalKey, source_id: id, status, last_error: lastError && { ...lastError } };
}

export function toWireSyncUpload(runId: string, outcomes: readonly UploadOutcome[]): WireSyncUpload {
  return {
    object: 'sync_run.upload',
    sync_run: runId,
    data: outcomes.map((outcome) => ({
      external_key: outcome.externalKey,
      status: outcome.status,
      source: outcome.status === 'refused' ? null : toWireSource(outcome.source),
      error: outcome.status === 'refused' ? { ...outcome.error } : null,
    })),
  };
}
