import { AppError } from '../../kernel/index.ts';
import type { Namespace, ScoredChunk, VectorRecord, VectorStore } from '../../vector-store/index.ts';

/** A vector store that compares with everything it has: the measure that approximate stores are held to. */
export function createExactVectorStore(): VectorStore {
  const namespaces = new Map<string, Map<string, VectorRecord>>();
  const recordsOf = (namespace: Namespace): VectorRecord[] => [...(namespaces.get(keyOf(namespace))?.values() ?? [])];

  function ranked(records: readonly VectorRecord[], vector: Float32Array): ScoredChunk[] {
    const best = new Map<string, number>();
    for (const record of records) {
      const score = cosine(record.vector, vector);
      if (score !== null && score > (best.get(record.chunkId) ?? Number.NEGATIVE_INFINITY)) {
        best.set(record.chunkId, score);
      }
    }
    return [...best]
      .map(([chunkId, score]) => ({ chunkId, score }))
      .sort((one, other) => other.score - one.score || (one.chunkId < other.chunkId ? -1 : 1));
  }

  return {
    async upsert(namespace, records, signal) {
      signal?.throwIfAborted();
      const known = namespaces.get(keyOf(namespace)) ?? new Map<string, VectorRecord>();
      const dimensions = [...known.values(), ...records][0]?.vector.length;
      if (records.some(({ vector }) => vector.length !== dimensions)) throw mismatch();
      namespaces.set(keyOf(namespace), known);
      for (const record of records) known.set(`${record.chunkId} ${record.window}`, record);
    },
    async deleteDocuments(namespace, documentIds, signal) {
      signal?.throwIfAborted();
      const known = namespaces.get(keyOf(namespace));
      for (const [key, record] of known ?? []) if (documentIds.includes(record.documentId)) known?.delete(key);
    },
    async deleteNamespace(namespace, signal) {
      signal?.throwIfAborted();
      namespaces.delete(keyOf(namespace));
    },
    async search(namespace, { vector, limit, filter }, signal) {
      signal?.throwIfAborted();
      const sourceIds = filter?.sourceIds;
      const records = recordsOf(namespace).filter(({ sourceId }) => sourceIds?.includes(sourceId) ?? true);
      return ranked(records, vector).slice(0, limit);
    },
    async score(namespace, { vector, chunkIds }, signal) {
      signal?.throwIfAborted();
      return ranked(
        recordsOf(namespace).filter(({ chunkId }) => chunkIds.includes(chunkId)),
        vector,
      );
    },
    async start() {},
    async stop() {},
  };
}

/** Null when either holds nothing to compare: all zero, or not finite. */
function cosine(one: Float32Array, other: Float32Array): number | null {
  if (one.length !== other.length) throw mismatch();
  if (!isUsable(one) || !isUsable(other)) return null;
  const product = one.reduce((sum, component, index) => sum + component * (other[index] ?? 0), 0);
  return Math.max(-1, Math.min(1, product));
}

function isUsable(vector: Float32Array): boolean {
  return vector.every(Number.isFinite) && vector.some((component) => component !== 0);
}

function mismatch(): AppError {
  return new AppError('embedding_dimension_mismatch', 'The vectors of one namespace must have the same dimensions.');
}

function keyOf({ tenantId, botId, generation }: Namespace): string {
  return JSON.stringify([tenantId, botId, generation]);
}
