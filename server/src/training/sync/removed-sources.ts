import type { VectorStore } from '../../vector-store/index.ts';

/** Sources that were deleted a short time ago. Ids are never used again. */
export interface RemovedSources {
  add(sourceId: string): void;
  has(sourceId: string): boolean;
}

/** More than any stage that still works for a deleted source can be behind. */
const REMEMBERED = 10_000;

export function createRemovedSources(): RemovedSources {
  const ids = new Set<string>();
  return {
    add(sourceId) {
      ids.add(sourceId);
      const oldest = ids.values().next().value;
      if (ids.size > REMEMBERED && oldest !== undefined) ids.delete(oldest);
    },
    has: (sourceId) => ids.has(sourceId),
  };
}

/**
 * The same index, closed to deleted sources: a stage that had made vectors before it heard of the deletion cannot bring
 * them in after it. Whoever deletes adds to `removed` first and then deletes from the index.
 */
export function withoutRemovedSources(vectors: VectorStore, removed: Pick<RemovedSources, 'has'>): VectorStore {
  return {
    ...vectors,
    upsert: (namespace, records, signal) =>
      vectors.upsert(
        namespace,
        records.filter(({ sourceId }) => !removed.has(sourceId)),
        signal,
      ),
  };
}
