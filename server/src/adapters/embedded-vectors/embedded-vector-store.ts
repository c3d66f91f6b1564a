import { AppError, type Logger } from '../../kernel/index.ts';
import type { Namespace, ScoredChunk, VectorRecord, VectorStore } from '../../vector-store/index.ts';
import { packRows } from './packed-rows.ts';
import { createScanConnection, type ScanAnswer, WorkerLost } from './scan-connection.ts';
import type { ScanRequest } from './scan-protocol.ts';

/** How often a lookup starts over because its namespace was dropped, or the worker lost, under it. */
const MAX_LOOKUP_ATTEMPTS = 4;

/** All vectors of one chunk, as the durable store keeps them; `windows[n]` is window n. */
interface StoredChunkVectors {
  readonly chunkId: string;
  readonly documentId: string;
  readonly sourceId: string;
  readonly windows: readonly Float32Array[];
}

export interface EmbeddedVectorStoreOptions {
  /** Streams a namespace from the truth, in batches. It is called after the namespace is open for writes in memory. */
  readonly loadNamespace: (namespace: Namespace, signal: AbortSignal) => AsyncIterable<readonly StoredChunkVectors[]>;
  /** Vectors in memory above this make the least recently used namespaces leave; one namespace may exceed it alone. */
  readonly memoryCapBytes: number;
  readonly logger: Logger;
}

type Lookup = Extract<ScanRequest, { type: 'search' | 'score' }>;

/**
 * Exact-to-int8 vector search in memory, in one worker thread: an int8 scan, then exact scores for the best candidates.
 * It keeps nothing on disk. A namespace is read from the truth when it is first searched, so **write to the truth
 * first, then here**: changes to a namespace that is not in memory are no-ops, and changes made while it is being read
 * win over what is read.
 */
export function createEmbeddedVectorStore(options: EmbeddedVectorStoreOptions): VectorStore {
  /** Namespaces that are in memory or on their way; may hold more than the worker does, never less. */
  const resident = new Set<string>();
  const loads = new Map<string, { readonly done: Promise<void>; readonly controller: AbortController }>();
  let lastLoadId = 0;
  const worker = createScanConnection({
    memoryCapBytes: options.memoryCapBytes,
    logger: options.logger,
    onEvicted: (key) => resident.delete(key),
    onLost: forgetAll,
  });

  function forgetAll(): void {
    resident.clear();
    for (const { controller } of loads.values()) controller.abort();
    loads.clear();
  }

  /** Opens the namespace in the worker before it returns; the promise tells when it is complete. */
  function ensureLoading(namespace: Namespace): Promise<void> {
    const key = keyOf(namespace);
    const running = loads.get(key);
    if (running !== undefined) return running.done;
    const controller = new AbortController();
    const done = load(namespace, controller.signal).finally(() => {
      if (loads.get(key)?.controller === controller) loads.delete(key);
    });
    loads.set(key, { done, controller });
    return done;
  }

  async function load(namespace: Namespace, signal: AbortSignal): Promise<void> {
    const key = keyOf(namespace);
    lastLoadId += 1;
    const loadId = lastLoadId;
    resident.add(key);
    try {
      await worker.call({ type: 'begin-load', key, loadId }, signal);
      for await (const batch of options.loadNamespace(namespace, signal)) {
        await worker.call({ type: 'load-rows', key, loadId, rows: packRows(batch.flatMap(toRecords)) }, signal);
      }
      await worker.call({ type: 'end-load', key, loadId }, signal);
    } catch (error) {
      // A dropped namespace or a lost worker is no failure: whoever waits asks again and finds what is true by then.
      if (signal.aborted || error instanceof WorkerLost) return;
      resident.delete(key);
      void worker.call({ type: 'abandon-load', key, loadId }).catch(() => {});
      throw error;
    }
  }

  async function lookUp(namespace: Namespace, request: Lookup, signal?: AbortSignal): Promise<readonly ScoredChunk[]> {
    for (let attempt = 1; attempt <= MAX_LOOKUP_ATTEMPTS; attempt += 1) {
      const answer = await unlessLost(worker.call(request, signal));
      if (answer?.type === 'chunks') return answer.chunks;
      if (answer === null) continue;
      const loaded = ensureLoading(namespace);
      // Sent behind the opening of the load: the worker answers it the moment the load ends, before any eviction.
      const [late] = await Promise.all([unlessLost(worker.call(request, signal)), loaded]);
      if (late?.type === 'chunks') return late.chunks;
    }
    throw new AppError('internal_error', 'The vector index could not be loaded. Try again.', { retryable: true });
  }

  /** Changes need no second try: what was lost from memory is read from the truth again. */
  async function change(request: ScanRequest, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    if (resident.has(request.key)) await unlessLost(worker.call(request, signal));
  }

  return {
    async upsert(namespace, records, signal) {
      if (records.length === 0) return;
      await change({ type: 'upsert', key: keyOf(namespace), rows: packRows(records) }, signal);
    },
    async deleteDocuments(namespace, documentIds, signal) {
      await change({ type: 'delete-documents', key: keyOf(namespace), documentIds }, signal);
    },
    async deleteNamespace(namespace, signal) {
      const key = keyOf(namespace);
      const running = loads.get(key);
      loads.delete(key);
      running?.controller.abort();
      await change({ type: 'drop', key }, signal);
    },
    search: (namespace, { vector, limit, filter }, signal) => {
      const question = { vector: vector.slice(), limit, sourceIds: filter?.sourceIds ?? null };
      return lookUp(namespace, { type: 'search', key: keyOf(namespace), ...question }, signal);
    },
    score: (namespace, { vector, chunkIds }, signal) =>
      lookUp(namespace, { type: 'score', key: keyOf(namespace), vector: vector.slice(), chunkIds }, signal),
    async start() {
      worker.start();
    },
    async stop() {
      const running = [...loads.values()].map(({ done }) => done);
      forgetAll();
      await worker.stop();
      await Promise.allSettled(running);
    },
  };
}

/** Null when the worker was lost before it answered. */
async function unlessLost(answer: Promise<ScanAnswer>): Promise<ScanAnswer | null> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof WorkerLost) return null;
    throw error;
  }
}

function toRecords({ windows, ...chunk }: StoredChunkVectors): VectorRecord[] {
  return windows.map((vector, window) => ({ ...chunk, window, vector }));
}

function keyOf({ tenantId, botId, generation }: Namespace): string {
  return JSON.stringify([tenantId, botId, generation]);
}
