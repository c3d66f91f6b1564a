import type { PineconeRecord } from '@pinecone-database/pinecone';
import type { Clock, Logger } from '../../kernel/index.ts';
import type { Namespace, VectorRecord } from '../../vector-store/index.ts';
import { isUsable, type ReadVectors } from './exact-scores.ts';
import type { NamespaceRecords, Place } from './namespace-records.ts';
import { chunkIdOf, recordId } from './record-ids.ts';
import type { RecordMetadata } from './upsert-batches.ts';

/** The database's side of a namespace. */
export interface VectorTruth {
  /** Streams a namespace, in batches. */
  readonly loadNamespace: (
    namespace: Namespace,
    signal: AbortSignal,
  ) => AsyncIterable<
    readonly {
      readonly chunkId: string;
      readonly documentId: string;
      readonly sourceId: string;
      readonly windows: readonly Float32Array[];
    }[]
  >;
  /** How many vectors a namespace has. */
  readonly countVectors: (namespace: Namespace) => Promise<number>;
  readonly readVectors: ReadVectors;
  /** Texts of chunks, by id; used for sparse values alone. */
  readonly readTexts: (namespace: Namespace, chunkIds: readonly string[]) => Promise<ReadonlyMap<string, string>>;
}

/** Makes a namespace hold what the truth holds. */
export interface Repair {
  /** Compares the counts, and repairs when they differ. */
  check(namespace: Namespace, place: Place, signal: AbortSignal): Promise<void>;
  /** Adds what is missing and takes out what the truth does not have. */
  repair(namespace: Namespace, place: Place, signal: AbortSignal): Promise<void>;
}

const LOOKED_UP_AT_ONCE = 500;

export function createRepair(parts: {
  readonly truth: VectorTruth;
  readonly records: NamespaceRecords;
  /** Records as they are written. */
  readonly toRecords: (
    namespace: Namespace,
    records: readonly VectorRecord[],
  ) => Promise<readonly PineconeRecord<RecordMetadata>[]>;
  /** Told of what was written, and its log sequence number. */
  readonly onWritten: (place: Place, records: readonly VectorRecord[], lsn: number | null) => void;
  readonly clock: Clock;
  readonly logger: Logger;
}): Repair {
  const { truth, records, toRecords, onWritten, clock, logger } = parts;

  async function repair(namespace: Namespace, place: Place, signal: AbortSignal): Promise<void> {
    const startedAt = clock.now();
    const unknown = new Set<string>();
    for await (const page of records.list(place, null, signal)) for (const id of page) unknown.add(id);
    let added = 0;
    for await (const batch of truth.loadNamespace(namespace, signal)) {
      const missing = batch
        .flatMap(({ windows, ...chunk }) => windows.map((vector, window) => ({ ...chunk, window, vector })))
        .filter((record) => !unknown.delete(recordId(record)) && isUsable(record.vector));
      if (missing.length === 0) continue;
      onWritten(place, missing, await records.upsert(place, await toRecords(namespace, missing), signal));
      added += missing.length;
      // Deleted while they were on their way: they must not come back.
      const late = await withoutKnown(namespace, missing.map(recordId));
      if (late.length > 0) await records.remove(place, late, signal);
    }
    const gone = await withoutKnown(namespace, [...unknown]);
    if (gone.length > 0) await records.remove(place, gone, signal);
    if (added + gone.length > 0) {
      const milliseconds = clock.now() - startedAt;
      const { botId: bot, generation } = namespace;
      logger.info({ bot, generation, added, removed: gone.length, milliseconds }, 'brought the vector index in line');
    }
  }

  /** Those that the truth does not have by now: others may have written since the truth was read. */
  async function withoutKnown(namespace: Namespace, ids: readonly string[]): Promise<readonly string[]> {
    const gone: string[] = [];
    for (let from = 0; from < ids.length; from += LOOKED_UP_AT_ONCE) {
      const part = ids.slice(from, from + LOOKED_UP_AT_ONCE).map((id) => ({ id, chunkId: chunkIdOf(id) }));
      const chunkIds = part.map(({ chunkId }) => chunkId).filter((chunkId) => chunkId !== null);
      const found = await truth.readVectors(namespace, [...new Set(chunkIds)]);
      const windows = new Map(found.map((chunk) => [chunk.chunkId, chunk.windows.length]));
      for (const { id, chunkId } of part) {
        // What was not written here is left alone.
        if (chunkId === null) continue;
        if (Number(id.slice(id.lastIndexOf('#') + 1)) >= (windows.get(chunkId) ?? 0)) gone.push(id);
      }
    }
    return gone;
  }

  return {
    repair,
    async check(namespace, place, signal) {
      const [wanted, counted] = await Promise.all([truth.countVectors(namespace), records.count(place, signal)]);
      if (wanted !== counted) await repair(namespace, place, signal);
    },
  };
}
