import { toAppError } from '../../kernel/index.ts';
import type { VectorRecord } from '../../vector-store/index.ts';
import type { Int8Kernel } from './int8-kernel.ts';
import { createNamespaceIndex, type NamespaceIndex } from './namespace-index.ts';
import { unpackRows } from './packed-rows.ts';
import type { ScanOutcome, ScanRequest } from './scan-protocol.ts';

type Lookup = Extract<ScanRequest, { type: 'search' | 'score' }>;
type Reply = (outcome: ScanOutcome) => void;

/** A lookup that came while its namespace was being loaded; it is answered when the load ends. */
interface WaitingLookup {
  readonly request: Lookup;
  readonly reply: Reply;
}

/**
 * A namespace on its way into memory. What is written meanwhile is newer than what the load brings, which may have been
 * read before: upserted rows are not overwritten, deleted documents are not brought back.
 */
interface Loading {
  readonly state: 'loading';
  readonly loadId: number;
  readonly index: NamespaceIndex;
  readonly upserted: Set<string>;
  readonly deletedDocuments: Set<string>;
  readonly waiting: WaitingLookup[];
}

interface Ready {
  readonly state: 'ready';
  readonly index: NamespaceIndex;
}

/** The namespaces in memory, the least recently used first out when they grow past the cap. */
export interface ResidentNamespaces {
  /** Answers through `reply`: at once, or for lookups in a namespace that is being loaded, when that has ended. */
  handle(request: ScanRequest, reply: Reply): void;
}

/** `onEvicted` hears of each namespace that had to leave; the one in use stays even if it is above the cap alone. */
export function createResidentNamespaces(options: {
  readonly memoryCapBytes: number;
  readonly kernel: Int8Kernel;
  readonly onEvicted: (key: string, bytes: number) => void;
}): ResidentNamespaces {
  /** In order of use, the least recent first. */
  const namespaces = new Map<string, Loading | Ready>();

  function touch(key: string, namespace: Loading | Ready): void {
    namespaces.delete(key);
    namespaces.set(key, namespace);
  }

  function evictAllBut(keyInUse: string): void {
    let bytes = 0;
    for (const { index } of namespaces.values()) bytes += index.bytes;
    for (const [key, { state, index }] of namespaces) {
      if (bytes <= options.memoryCapBytes) return;
      if (key === keyInUse || state === 'loading') continue;
      bytes -= index.bytes;
      namespaces.delete(key);
      options.onEvicted(key, index.bytes);
    }
  }

  function loadingOf(key: string, loadId: number): Loading | null {
    const namespace = namespaces.get(key);
    return namespace?.state === 'loading' && namespace.loadId === loadId ? namespace : null;
  }

  function drop(key: string): void {
    const namespace = namespaces.get(key);
    namespaces.delete(key);
    if (namespace?.state !== 'loading') return;
    for (const { reply } of namespace.waiting) reply({ type: 'missing' });
  }

  function beginLoad(key: string, loadId: number): void {
    drop(key);
    const index = createNamespaceIndex(options.kernel);
    const fresh = { upserted: new Set<string>(), deletedDocuments: new Set<string>(), waiting: [] };
    namespaces.set(key, { state: 'loading', loadId, index, ...fresh });
  }

  function loadRows({ key, loadId, rows }: Extract<ScanRequest, { type: 'load-rows' }>): void {
    const loading = loadingOf(key, loadId);
    if (loading === null) return;
    for (const record of unpackRows(rows)) {
      const isOlder = loading.upserted.has(rowKey(record)) || loading.deletedDocuments.has(record.documentId);
      if (!isOlder) loading.index.put(record);
    }
    evictAllBut(key);
  }

  function endLoad(key: string, loadId: number): void {
    const loading = loadingOf(key, loadId);
    if (loading === null) return;
    loading.index.compact();
    touch(key, { state: 'ready', index: loading.index });
    evictAllBut(key);
    for (const { request, reply } of loading.waiting) answer(() => lookUp(loading.index, request), reply);
  }

  function abandonLoad(key: string, loadId: number): void {
    if (loadingOf(key, loadId) !== null) drop(key);
  }

  function upsert({ key, rows }: Extract<ScanRequest, { type: 'upsert' }>): void {
    const namespace = namespaces.get(key);
    if (namespace === undefined) return;
    for (const record of unpackRows(rows)) {
      namespace.index.put(record);
      if (namespace.state === 'loading') namespace.upserted.add(rowKey(record));
    }
    evictAllBut(key);
  }

  function deleteDocuments(key: string, documentIds: readonly string[]): void {
    const namespace = namespaces.get(key);
    if (namespace === undefined) return;
    namespace.index.removeDocuments(documentIds);
    if (namespace.state !== 'loading') return;
    for (const documentId of documentIds) namespace.deletedDocuments.add(documentId);
  }

  function change(request: Exclude<ScanRequest, Lookup>): ScanOutcome {
    if (request.type === 'begin-load') beginLoad(request.key, request.loadId);
    else if (request.type === 'load-rows') loadRows(request);
    else if (request.type === 'end-load') endLoad(request.key, request.loadId);
    else if (request.type === 'abandon-load') abandonLoad(request.key, request.loadId);
    else if (request.type === 'upsert') upsert(request);
    else if (request.type === 'delete-documents') deleteDocuments(request.key, request.documentIds);
    else drop(request.key);
    return { type: 'done' };
  }

  function lookUpOrWait(request: Lookup, reply: Reply): void {
    const namespace = namespaces.get(request.key);
    if (namespace === undefined) {
      reply({ type: 'missing' });
      return;
    }
    touch(request.key, namespace);
    if (namespace.state === 'loading') namespace.waiting.push({ request, reply });
    else answer(() => lookUp(namespace.index, request), reply);
  }

  return {
    handle(request, reply) {
      if (request.type === 'search' || request.type === 'score') lookUpOrWait(request, reply);
      else answer(() => change(request), reply);
    },
  };
}

function answer(work: () => ScanOutcome, reply: Reply): void {
  let outcome: ScanOutcome;
  try {
    outcome = work();
  } catch (error) {
    outcome = failure(error);
  }
  reply(outcome);
}

function lookUp(index: NamespaceIndex, request: Lookup): ScanOutcome {
  const chunks =
    request.type === 'search'
      ? index.search(request.vector, request.limit, request.sourceIds)
      : index.score(request.vector, request.chunkIds);
  return { type: 'chunks', chunks };
}

function failure(error: unknown): ScanOutcome {
  const { code, message } = toAppError(error);
  return { type: 'failed', code, message, stack: error instanceof Error ? error.stack : undefined };
}

function rowKey({ chunkId, window }: VectorRecord): string {
  return `${chunkId} ${window}`;
}
