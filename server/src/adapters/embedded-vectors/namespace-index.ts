import { AppError } from '../../kernel/index.ts';
import type { ScoredChunk, VectorRecord } from '../../vector-store/index.ts';
import { positionsOfBest } from './best-scores.ts';
import type { Int8Kernel } from './int8-kernel.ts';
import { canMatch, createVectorRows, type VectorRows } from './vector-rows.ts';

/** Candidates of the approximate scan that are scored exactly: this many times the limit, but never fewer than 50. */
const RESCORE_FACTOR = 4;
const RESCORE_MINIMUM = 50;
/** Rough cost of a chunk's entry: object, ids, row list, map slots. */
const CHUNK_OVERHEAD_BYTES = 400;

interface ChunkEntry {
  readonly chunkId: string;
  readonly documentId: string;
  readonly sourceId: string;
  /** Place in `chunks`; the owner of its rows. */
  position: number;
  readonly rows: { readonly window: number; row: number }[];
}

/** The vectors of one namespace in memory. Not thread-safe, not durable: it lives in the scan worker. */
export interface NamespaceIndex {
  readonly bytes: number;
  /** Adds or replaces by (chunk, window). Throws `embedding_dimension_mismatch` when lengths differ. */
  put(record: VectorRecord): void;
  has(chunkId: string, window: number): boolean;
  removeDocuments(documentIds: readonly string[]): void;
  /** Gives all spare memory back, for an index that is not expected to grow soon. */
  compact(): void;
  search(vector: Float32Array, limit: number, sourceIds: readonly string[] | null): readonly ScoredChunk[];
  score(vector: Float32Array, chunkIds: readonly string[]): readonly ScoredChunk[];
}

/** An empty index; the first vector decides its dimensions. */
export function createNamespaceIndex(kernel: Int8Kernel): NamespaceIndex {
  const chunks: ChunkEntry[] = [];
  const byId = new Map<string, ChunkEntry>();
  const byDocument = new Map<string, Set<ChunkEntry>>();
  let rows: VectorRows | null = null;

  function rowsFor(vector: Float32Array): VectorRows {
    rows ??= createVectorRows(vector.length, kernel);
    if (rows.dimensions === vector.length) return rows;
    throw new AppError(
      'embedding_dimension_mismatch',
      `The vector has ${vector.length} dimensions, the index holds ${rows.dimensions}. Index with one embedder only.`,
    );
  }

  function entryFor(record: VectorRecord): ChunkEntry {
    const known = byId.get(record.chunkId);
    if (known !== undefined) return known;
    const { chunkId, documentId, sourceId } = record;
    const entry: ChunkEntry = { chunkId, documentId, sourceId, position: chunks.length, rows: [] };
    chunks.push(entry);
    byId.set(chunkId, entry);
    const siblings = byDocument.get(documentId);
    if (siblings === undefined) byDocument.set(documentId, new Set([entry]));
    else siblings.add(entry);
    return entry;
  }

  function removeRow(from: VectorRows, row: number): void {
    const lastRow = from.count - 1;
    const owner = from.remove(row);
    const moved = owner === null ? undefined : chunks[owner]?.rows.find((place) => place.row === lastRow);
    if (moved !== undefined) moved.row = row;
  }

  function removeChunk(from: VectorRows, entry: ChunkEntry): void {
    for (let place = entry.rows.pop(); place !== undefined; place = entry.rows.pop()) removeRow(from, place.row);
    byId.delete(entry.chunkId);
    const last = chunks.pop();
    if (last === undefined || last === entry) return;
    last.position = entry.position;
    chunks[entry.position] = last;
    for (const place of last.rows) from.setOwner(place.row, last.position);
  }

  function exactScore(within: VectorRows, entry: ChunkEntry, vector: Float32Array): ScoredChunk[] {
    let best: number | null = null;
    for (const { row } of entry.rows) {
      const score = within.exact(row, vector);
      if (score !== null && (best === null || score > best)) best = score;
    }
    return best === null ? [] : [{ chunkId: entry.chunkId, score: best }];
  }

  function scoreEntries(entries: readonly (ChunkEntry | undefined)[], vector: Float32Array): ScoredChunk[] {
    const within = rowsFor(vector);
    return entries.flatMap((entry) => (entry === undefined ? [] : exactScore(within, entry, vector))).sort(bestFirst);
  }

  return {
    get bytes() {
      return (rows?.bytes ?? 0) + chunks.length * CHUNK_OVERHEAD_BYTES;
    },
    put(record) {
      const into = rowsFor(record.vector);
      const entry = entryFor(record);
      const place = entry.rows.find(({ window }) => window === record.window);
      if (place !== undefined) into.overwrite(place.row, record.vector);
      else entry.rows.push({ window: record.window, row: into.append(record.vector, entry.position) });
    },
    has: (chunkId, window) => byId.get(chunkId)?.rows.some((place) => place.window === window) ?? false,
    removeDocuments(documentIds) {
      if (rows === null) return;
      for (const documentId of documentIds) {
        for (const entry of byDocument.get(documentId) ?? []) removeChunk(rows, entry);
        byDocument.delete(documentId);
      }
      if (chunks.length === 0) rows = null;
    },
    compact: () => rows?.compact(),
    search(vector, limit, sourceIds) {
      if (rows === null || limit < 1 || !canMatch(vector)) return [];
      const best = new Float32Array(chunks.length).fill(Number.NEGATIVE_INFINITY);
      rowsFor(vector).scan(vector, best);
      const allowed = sourceIds === null ? null : new Set(sourceIds);
      const isAllowed = (position: number): boolean => allowed?.has(chunks[position]?.sourceId ?? '') ?? true;
      const idAt = (position: number): string => chunks[position]?.chunkId ?? '';
      const candidates = positionsOfBest(best, {
        limit: Math.max(RESCORE_MINIMUM, limit * RESCORE_FACTOR),
        accept: isAllowed,
        precedes: (one, other) => idAt(one) < idAt(other),
      });
      return scoreEntries(
        candidates.map((position) => chunks[position]),
        vector,
      ).slice(0, limit);
    },
    score(vector, chunkIds) {
      if (rows === null || !canMatch(vector)) return [];
      return scoreEntries(
        [...new Set(chunkIds)].map((chunkId) => byId.get(chunkId)),
        vector,
      );
    },
  };
}

function bestFirst(one: ScoredChunk, other: ScoredChunk): number {
  if (one.score !== other.score) return other.score - one.score;
  return one.chunkId < other.chunkId ? -1 : 1;
}
