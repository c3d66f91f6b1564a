import { createHash } from 'node:crypto';
import { AppError, toAppError } from '../../kernel/index.ts';
import { abortable } from '../../resilience/index.ts';
import type { Namespace, ScoredChunk, VectorStore } from '../../vector-store/index.ts';
import {
  createNamespaceIndex,
  type LangChainVectorStore,
  type NamespaceIndex,
  type StoredChunkVectors,
} from './namespace-index.ts';

export interface LangChainVectorStoreOptions {
  /** An empty store for one namespace. The name is made of letters and digits, the same at every start. */
  readonly make: (name: string) => Promise<LangChainVectorStore>;
  /** Streams a namespace from the truth, in batches. */
  readonly loadNamespace: (namespace: Namespace, signal: AbortSignal) => AsyncIterable<readonly StoredChunkVectors[]>;
  /** Vectors of some chunks of a namespace, from the truth. Chunks that are unknown are left out. */
  readonly readVectors: (
    namespace: Namespace,
    chunkIds: readonly string[],
    signal: AbortSignal | undefined,
  ) => Promise<readonly Pick<StoredChunkVectors, 'chunkId' | 'windows'>[]>;
  /** Vectors in LangChain's stores above this make the least recently used namespaces leave. */
  readonly maxVectors: number;
}

/**
 * Any vector store of LangChain.js behind the port of the house: one of its stores a namespace, filled from the truth when
 * it is first searched in this process (**write to the truth first, then here**; changes to a namespace that is not loaded
 * are no-ops). LangChain.js knows neither counting nor listing nor scores that mean the same everywhere, so its store only
 * finds candidates: each is looked up in the truth and scored there by its exact cosine.
 */
export function createLangChainVectorStore(options: LangChainVectorStoreOptions): VectorStore {
  const loaded = new Map<string, Promise<NamespaceIndex>>();
  const sizes = new Map<string, number>();
  const stopped = new AbortController();

  /** Least recently used first. */
  async function indexOf(namespace: Namespace): Promise<NamespaceIndex> {
    const key = keyOf(namespace);
    const known = loaded.get(key);
    const loading = known ?? load(namespace);
    loaded.delete(key);
    loaded.set(key, loading);
    if (known === undefined) loading.catch(() => loaded.get(key) === loading && loaded.delete(key));
    const index = await loading;
    sizes.set(key, index.size);
    evict(key);
    return index;
  }

  function load(namespace: Namespace): Promise<NamespaceIndex> {
    const name = `cs${createHash('sha256').update(keyOf(namespace)).digest('hex').slice(0, 40)}`;
    return createNamespaceIndex({
      make: () => options.make(name),
      load: () => options.loadNamespace(namespace, stopped.signal),
    });
  }

  function evict(kept: string): void {
    let total = [...sizes.values()].reduce((sum, size) => sum + size, 0);
    for (const key of loaded.keys()) {
      if (total <= options.maxVectors) return;
      if (key === kept) continue;
      total -= sizes.get(key) ?? 0;
      forget(key);
    }
  }

  function forget(key: string): void {
    loaded.delete(key);
    sizes.delete(key);
  }

  async function change(
    namespace: Namespace,
    apply: (index: NamespaceIndex) => Promise<void>,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    signal?.throwIfAborted();
    const index = loaded.get(keyOf(namespace));
    if (index === undefined) return;
    try {
      await abortable(index.then(apply), signal);
    } catch (error) {
      // Half changed: what is true is read again by the next search. A refused change has changed nothing.
      if (toAppError(error).code !== 'embedding_dimension_mismatch') forget(keyOf(namespace));
      throw error;
    }
  }

  async function exactScores(
    namespace: Namespace,
    { vector, chunkIds }: { readonly vector: Float32Array; readonly chunkIds: readonly string[] },
    signal: AbortSignal | undefined,
  ): Promise<ScoredChunk[]> {
    const found = await options.readVectors(namespace, chunkIds, signal);
    const scored = found.flatMap(({ chunkId, windows }) => {
      const scores = windows.map((window) => cosine(window, vector)).filter((score) => score !== null);
      return scores.length === 0 ? [] : [{ chunkId, score: Math.max(...scores) }];
    });
    return scored.sort((one, other) => other.score - one.score || (one.chunkId < other.chunkId ? -1 : 1));
  }

  return {
    upsert: (namespace, records, signal) => change(namespace, (index) => index.upsert(records), signal),
    deleteDocuments: (namespace, ids, signal) => change(namespace, (index) => index.deleteDocuments(ids), signal),
    async deleteNamespace(namespace, signal) {
      await change(namespace, (index) => index.clear(), signal);
      forget(keyOf(namespace));
    },
    async search(namespace, { vector, limit, filter }, signal) {
      signal?.throwIfAborted();
      const index = await abortable(indexOf(namespace), signal);
      const chunkIds = await abortable(index.candidates(vector, { limit, filter }), signal);
      return (await exactScores(namespace, { vector, chunkIds }, signal)).slice(0, limit);
    },
    async score(namespace, { vector, chunkIds }, signal) {
      signal?.throwIfAborted();
      if (chunkIds.length === 0) return [];
      return exactScores(namespace, { vector, chunkIds: [...new Set(chunkIds)] }, signal);
    },
    async start() {},
    async stop() {
      stopped.abort(new AppError('server_draining', 'The vector store is stopping.'));
      await Promise.allSettled(loaded.values());
      loaded.clear();
    },
  };
}

/** Null when either holds nothing to compare. */
function cosine(one: Float32Array, other: Float32Array): number | null {
  if (one.length !== other.length) {
    throw new AppError('embedding_dimension_mismatch', 'The vectors of one namespace must have the same dimensions.');
  }
  let product = 0;
  let lengths = [0, 0] as readonly [number, number];
  for (const [index, component] of one.entries()) {
    const against = other[index] ?? 0;
    product += component * against;
    lengths = [lengths[0] + component ** 2, lengths[1] + against ** 2];
  }
  const length = Math.sqrt(lengths[0] * lengths[1]);
  return Number.isFinite(product) && length > 0 ? Math.max(-1, Math.min(1, product / length)) : null;
}

function keyOf({ tenantId, botId, generation }: Namespace): string {
  return JSON.stringify([tenantId, botId, generation]);
}
