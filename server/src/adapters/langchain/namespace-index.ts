import { createHash } from 'node:crypto';
import { AppError } from '../../kernel/index.ts';
import type { SearchFilter, VectorRecord } from '../../vector-store/index.ts';
import { toLangChainFailure } from './failures.ts';

/** A vector store of LangChain.js, as far as it is used here. */
export interface LangChainVectorStore {
  addVectors(vectors: number[][], documents: LangChainDocument[], options?: { ids: string[] }): Promise<unknown>;
  similaritySearchVectorWithScore(query: number[], k: number): Promise<readonly (readonly [LangChainHit, number])[]>;
  delete?(parameters: { ids: string[] }): Promise<void>;
}

interface LangChainDocument {
  readonly id: string;
  readonly pageContent: string;
  readonly metadata: Readonly<Record<string, string | number>>;
}

interface LangChainHit {
  readonly metadata?: Readonly<Record<string, unknown>>;
}

/** All vectors of one chunk, as the durable store keeps them; `windows[n]` is window n. */
export interface StoredChunkVectors {
  readonly chunkId: string;
  readonly documentId: string;
  readonly sourceId: string;
  readonly windows: readonly Float32Array[];
}

/** One namespace in a store of LangChain.js. */
export interface NamespaceIndex {
  /** Vectors in the store, outdated ones among them. */
  readonly size: number;
  upsert(records: readonly VectorRecord[]): Promise<void>;
  deleteDocuments(documentIds: readonly string[]): Promise<void>;
  clear(): Promise<void>;
  /** Ids of chunks that hold the best of this query, at least `limit` of them if there are so many. */
  candidates(
    vector: Float32Array,
    request: { readonly limit: number; readonly filter: SearchFilter | undefined },
  ): Promise<readonly string[]>;
}

interface Entry {
  readonly chunkId: string;
  readonly documentId: string;
  readonly sourceId: string;
}

const VECTORS_PER_CALL = 500;
const LEAST_CANDIDATES = 50;
/** Outdated vectors that a store cannot delete take places among the hits; above this share it is filled anew. */
const MOST_OUTDATED = 0.5;

/** A store, and what in it is still true, by the id it has there. */
interface Filled {
  readonly store: LangChainVectorStore;
  readonly entries: Map<string, Entry>;
  inStore: number;
}

/** Makes the store of a namespace and fills it. Changes that come meanwhile wait for that, and follow each other. */
export async function createNamespaceIndex(source: {
  readonly make: () => Promise<LangChainVectorStore>;
  readonly load: () => AsyncIterable<readonly StoredChunkVectors[]>;
}): Promise<NamespaceIndex> {
  let dimensions: number | null = null;
  let current = await fill();
  let turn: Promise<unknown> = Promise.resolve();

  async function fill(): Promise<Filled> {
    const filled: Filled = { store: await guarded(source.make()), entries: new Map(), inStore: 0 };
    for await (const batch of source.load()) await add(filled, batch.flatMap(toRecords));
    return filled;
  }

  /** One change after the other; searches do not wait for them. */
  function inTurn(work: () => Promise<void>): Promise<void> {
    const result = turn.then(work, work);
    turn = result.catch(() => {});
    return result;
  }

  async function add(to: Filled, records: readonly VectorRecord[]): Promise<void> {
    for (const { vector } of records) {
      dimensions ??= vector.length;
      if (vector.length !== dimensions) throw mismatch();
    }
    const usable = records.filter(({ vector }) => isUsable(vector));
    for (let from = 0; from < usable.length; from += VECTORS_PER_CALL) {
      const part = usable.slice(from, from + VECTORS_PER_CALL);
      const ids = part.map(idOf);
      const documents = part.map(({ chunkId, window }, index) => {
        const id = ids[index] ?? '';
        // Some stores give hits without their ids.
        return { id, pageContent: '', metadata: { chatsphere_id: id, chunk_id: chunkId, window } };
      });
      const vectors = part.map(({ vector }) => Array.from(vector));
      await guarded(to.store.addVectors(vectors, documents, { ids }));
      to.inStore += part.length;
      for (const [index, { chunkId, documentId, sourceId }] of part.entries()) {
        to.entries.set(ids[index] ?? '', { chunkId, documentId, sourceId });
      }
    }
  }

  /** Stores that cannot delete keep what they have: it is passed over, and filled anew when it is too much. */
  async function remove(ids: readonly string[]): Promise<void> {
    if (ids.length === 0) return;
    for (const id of ids) current.entries.delete(id);
    if (await isDeleted(current.store, ids)) current.inStore -= ids.length;
    else if (current.inStore - current.entries.size > Math.max(LEAST_CANDIDATES, current.inStore * MOST_OUTDATED)) {
      current = await fill();
    }
  }

  return {
    get size() {
      return current.inStore;
    },
    upsert: (records) =>
      inTurn(async () => {
        if (records.some(({ vector }) => vector.length !== (dimensions ?? vector.length))) throw mismatch();
        // A store that only ever adds would give the outdated vector too.
        await remove(records.map(idOf).filter((id) => current.entries.has(id)));
        await add(current, records);
      }),
    deleteDocuments: (documentIds) =>
      inTurn(async () => {
        const gone = new Set(documentIds);
        await remove([...current.entries].filter(([, { documentId }]) => gone.has(documentId)).map(([id]) => id));
      }),
    clear: () =>
      inTurn(async () => {
        const ids = [...current.entries.keys()];
        current.entries.clear();
        if (ids.length > 0) await isDeleted(current.store, ids);
      }),
    async candidates(vector, { limit, filter }) {
      const { store, entries } = current;
      if (dimensions !== null && vector.length !== dimensions) throw mismatch();
      if (limit <= 0 || entries.size === 0 || !isUsable(vector)) return [];
      const sources = filter?.sourceIds === undefined ? null : new Set(filter.sourceIds);
      const query = Array.from(vector);
      for (let count = Math.max(2 * limit, LEAST_CANDIDATES); ; count *= 4) {
        const hits = await guarded(store.similaritySearchVectorWithScore(query, count));
        const chunkIds = new Set<string>();
        for (const [{ metadata }] of hits) {
          const entry = entries.get(String(metadata?.['chatsphere_id'] ?? ''));
          if (entry !== undefined && (sources?.has(entry.sourceId) ?? true)) chunkIds.add(entry.chunkId);
        }
        // Fewer hits than asked for: it has no more, or gives no more.
        if (chunkIds.size >= limit || hits.length < count) return [...chunkIds];
      }
    },
  };
}

/** False for stores that cannot. */
async function isDeleted(store: LangChainVectorStore, ids: readonly string[]): Promise<boolean> {
  try {
    await store.delete?.({ ids: [...ids] });
    return store.delete !== undefined;
  } catch (error) {
    // What LangChain's base class says.
    if (error instanceof Error && /not implemented/i.test(error.message)) return false;
    throw toLangChainFailure(error);
  }
}

async function guarded<Result>(work: Promise<Result>): Promise<Result> {
  try {
    return await work;
  } catch (error) {
    throw toLangChainFailure(error);
  }
}

/** A UUID of the record's own, since some stores take nothing else. */
function idOf({ chunkId, window }: VectorRecord): string {
  const hex = createHash('sha256').update(`${chunkId} ${window}`).digest('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-5${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

function toRecords({ windows, ...chunk }: StoredChunkVectors): VectorRecord[] {
  return windows.map((vector, window) => ({ ...chunk, window, vector }));
}

function isUsable(vector: Float32Array): boolean {
  return vector.every(Number.isFinite) && vector.some((component) => component !== 0);
}

function mismatch(): AppError {
  return new AppError('embedding_dimension_mismatch', 'The vectors of one namespace must have the same dimensions.');
}
