import type { Clock } from '../../kernel/index.ts';
import type { SearchFilter, VectorRecord } from '../../vector-store/index.ts';
import { byScore } from './exact-scores.ts';
import { recordId } from './record-ids.ts';

/** Vectors that Pinecone has taken and may not show yet, by namespace: searched here meanwhile. */
export interface UnconfirmedWrites {
  readonly bytes: number;
  /** `lsn`: the write's log sequence number; null: Pinecone did not say. */
  add(name: string, records: readonly VectorRecord[], lsn: number | null): void;
  /** Chunks that hold the best of this query, at most `limit`. */
  best(
    name: string,
    query: { readonly vector: Float32Array; readonly limit: number; readonly filter: SearchFilter | undefined },
  ): readonly string[];
  /** A read has shown all writes up to this number. */
  confirm(name: string, lsn: number | null): void;
  /** Forgets what belongs to the documents, and returns the ids that it has in the index. */
  takeDocuments(name: string, documentIds: ReadonlySet<string>): readonly string[];
  forget(name: string): void;
  /** Namespaces with writes that are not confirmed, the largest first. */
  names(): readonly string[];
}

interface Entry {
  readonly record: VectorRecord;
  readonly lsn: number | null;
  readonly at: number;
}

/** Pinecone says that changes show within seconds; this is for indexes that give no numbers. */
const SHOWN_AFTER_MS = 60_000;

export function createUnconfirmedWrites(clock: Clock): UnconfirmedWrites {
  const namespaces = new Map<string, Map<string, Entry>>();
  let bytes = 0;

  function drop(name: string, entries: Map<string, Entry>, isGone: (entry: Entry) => boolean): string[] {
    const dropped: string[] = [];
    for (const [id, entry] of entries) {
      if (!isGone(entry)) continue;
      entries.delete(id);
      bytes -= entry.record.vector.byteLength;
      dropped.push(id);
    }
    if (entries.size === 0) namespaces.delete(name);
    return dropped;
  }

  return {
    get bytes() {
      return bytes;
    },
    add(name, records, lsn) {
      const entries = namespaces.get(name) ?? new Map<string, Entry>();
      namespaces.set(name, entries);
      const at = clock.now();
      for (const record of records) {
        const id = recordId(record);
        bytes += record.vector.byteLength - (entries.get(id)?.record.vector.byteLength ?? 0);
        entries.set(id, { record: { ...record, vector: record.vector.slice() }, lsn, at });
      }
    },
    best(name, { vector, limit, filter }) {
      const sources = filter?.sourceIds === undefined ? null : new Set(filter.sourceIds);
      const scores = new Map<string, number>();
      for (const { record } of namespaces.get(name)?.values() ?? []) {
        if (record.vector.length !== vector.length || !(sources?.has(record.sourceId) ?? true)) continue;
        const score = dot(record.vector, vector);
        if (score > (scores.get(record.chunkId) ?? Number.NEGATIVE_INFINITY)) scores.set(record.chunkId, score);
      }
      const sorted = [...scores].map(([chunkId, score]) => ({ chunkId, score })).sort(byScore);
      return sorted.slice(0, limit).map(({ chunkId }) => chunkId);
    },
    confirm(name, lsn) {
      const entries = namespaces.get(name);
      if (entries === undefined) return;
      const shown = clock.now() - SHOWN_AFTER_MS;
      drop(name, entries, (entry) => (entry.lsn === null || lsn === null ? entry.at <= shown : entry.lsn <= lsn));
    },
    takeDocuments(name, documentIds) {
      const entries = namespaces.get(name);
      return entries === undefined ? [] : drop(name, entries, ({ record }) => documentIds.has(record.documentId));
    },
    forget(name) {
      const entries = namespaces.get(name);
      if (entries !== undefined) drop(name, entries, () => true);
    },
    names: () => [...namespaces].sort(([, one], [, other]) => other.size - one.size).map(([name]) => name),
  };
}

function dot(one: Float32Array, other: Float32Array): number {
  let sum = 0;
  for (let index = 0; index < one.length; index += 1) sum += (one[index] ?? 0) * (other[index] ?? 0);
  return sum;
}
