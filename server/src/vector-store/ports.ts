/**
 * Names what is searched together: one bot's content under one index generation. The key is derived from the caller's
 * tenant and bot, never from a request body.
 */
export interface Namespace {
  readonly tenantId: string;
  readonly botId: string;
  /** An index key of the store: a vector space and a chunk set. */
  readonly generation: string;
}

/** One bot's content, cut in one way; without a chunk set, in the one that answers. */
export interface LexicalNamespace extends Pick<Namespace, 'tenantId' | 'botId'> {
  readonly chunkSet?: string;
}

/** One vector: a window of a chunk. */
export interface VectorRecord {
  readonly chunkId: string;
  readonly documentId: string;
  readonly sourceId: string;
  /** 0, 1, 2 ... within the chunk. */
  readonly window: number;
  /** Normalised to length 1. */
  readonly vector: Float32Array;
}

export interface SearchFilter {
  /** Only chunks of these sources. */
  readonly sourceIds?: readonly string[];
}

export interface VectorQuery {
  readonly vector: Float32Array;
  readonly limit: number;
  readonly filter?: SearchFilter;
  /** The words of the question (`queryTerms`), for stores that choose candidates by both. Scores stay cosines. */
  readonly terms?: readonly string[];
}

export interface ScoredChunk {
  readonly chunkId: string;
  /** Cosine of the chunk's best window for vectors (-1..1); BM25 (0 and up, higher is better) for words. */
  readonly score: number;
}

/**
 * A derived index of vectors, which can be rebuilt from the store at any time. A chunk's score is that of its best
 * window. Unknown namespaces are empty, not errors.
 */
export interface VectorStore {
  /** Adds or replaces by (chunk, window). */
  upsert(namespace: Namespace, records: readonly VectorRecord[], signal?: AbortSignal): Promise<void>;
  deleteDocuments(namespace: Namespace, documentIds: readonly string[], signal?: AbortSignal): Promise<void>;
  deleteNamespace(namespace: Namespace, signal?: AbortSignal): Promise<void>;
  /** The `limit` best chunks, best first; ties by chunk id. */
  search(namespace: Namespace, query: VectorQuery, signal?: AbortSignal): Promise<readonly ScoredChunk[]>;
  /** Scores of given chunks; chunks without vectors are left out. */
  score(
    namespace: Namespace,
    query: { readonly vector: Float32Array; readonly chunkIds: readonly string[] },
    signal?: AbortSignal,
  ): Promise<readonly ScoredChunk[]>;
  start(): Promise<void>;
  stop(): Promise<void>;
}

/**
 * Search by words over the searchable chunks of a bot in one chunk set. It is fed by the store in the transactions that write the
 * chunks, so this port only reads.
 */
export interface LexicalIndex {
  /** The `limit` best chunks that hold at least one of the terms, best first. */
  search(
    bot: LexicalNamespace,
    query: { readonly terms: readonly string[]; readonly limit: number; readonly filter?: SearchFilter },
    signal?: AbortSignal,
  ): Promise<readonly ScoredChunk[]>;
  /** Scores of given chunks; chunks that hold none of the terms are left out. */
  score(
    bot: LexicalNamespace,
    query: { readonly terms: readonly string[]; readonly chunkIds: readonly string[] },
    signal?: AbortSignal,
  ): Promise<readonly ScoredChunk[]>;
}
