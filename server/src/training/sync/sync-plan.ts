import type { JsonObject } from '../../kernel/index.ts';
import type { KeyedSource, SyncItem } from '../../store/index.ts';

/** A client's file, as it names it. */
export interface ManifestEntry {
  readonly externalKey: string;
  /** SHA-256 of the file's bytes, hex. */
  readonly contentHash: string;
  /** Absent: what the source has is left alone. */
  readonly metadata?: JsonObject;
}

export interface SyncPlan {
  /** Uploads in the order of the manifest, then what is relabelled, then what is deleted. */
  readonly items: readonly Omit<SyncItem, 'position' | 'state'>[];
  /** Entries that ask for nothing. */
  readonly unchanged: number;
  /** Sources of unchanged files that are not (wholly) usable yet. */
  readonly unsettled: readonly KeyedSource[];
}

/** Compares a manifest with the sources that there are; these may come one by one and in any order. */
export interface SyncPlanner {
  take(source: KeyedSource): void;
  finish(): SyncPlan;
}

/**
 * What makes the bot's sources those of the manifest: files that it has not, or has with other bytes, are uploaded; one
 * that failed is tried again. With `prune`, sources of files that the manifest does not name are deleted; texts, pages
 * and whatever else is no file are left alone.
 */
export function createSyncPlanner(
  manifest: readonly ManifestEntry[],
  { prune }: { readonly prune: boolean },
): SyncPlanner {
  const open = new Map(manifest.map((entry) => [entry.externalKey, entry]));
  const relabels: SyncPlan['items'][number][] = [];
  const deletes: SyncPlan['items'][number][] = [];
  const unsettled: KeyedSource[] = [];
  let unchanged = 0;
  return {
    take(source) {
      const entry = open.get(source.externalKey);
      const { id: sourceId, externalKey } = source;
      if (entry === undefined) {
        if (prune && source.type === 'file') deletes.push({ action: 'delete', externalKey, sourceId, metadata: null });
        return;
      }
      if (source.fileHash !== entry.contentHash || source.status === 'failed') return;
      open.delete(externalKey);
      if (source.status !== 'ready') unsettled.push(source);
      const { metadata } = entry;
      if (metadata === undefined || sameJson(metadata, source.metadata)) unchanged += 1;
      else relabels.push({ action: 'relabel', externalKey, sourceId, metadata });
    },
    finish() {
      const uploads = [...open.values()].map(({ externalKey, metadata }) => ({
        action: 'upload' as const,
        externalKey,
        sourceId: null,
        metadata: metadata ?? null,
      }));
      return { items: [...uploads, ...relabels, ...deletes], unchanged, unsettled };
    },
  };
}

function sameJson(one: JsonObject, other: JsonObject): boolean {
  return JSON.stringify(Object.entries(one).sort()) === JSON.stringify(Object.entries(other).sort());
}
