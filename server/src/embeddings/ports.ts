/** What the rest of the house must know of an embedder, as data. */
export interface EmbedderProfile {
  /** `provider/model`, stored with every vector. */
  readonly id: string;
  readonly dimensions: number;
  /** Changes when the same id would give other vectors (a new table, another window shape). */
  readonly version: string;
  /** Most texts in one call; callers split, the adapter refuses. */
  readonly maxTextsPerCall: number;
  /** Most calls at once. */
  readonly maxConcurrentCalls: number;
  /** Weight of the dense side in the fused score, measured for this embedder. */
  readonly fusionWeight: number;
  /** How a chunk is cut for embedding: words a window and the step from one window to the next; null: whole. */
  readonly window: { readonly words: number; readonly step: number } | null;
  /** True when it runs in this process: no key, no network, no price. */
  readonly local: boolean;
}

export type EmbeddingPurpose = 'query' | 'document';

export interface EmbeddingRequest {
  readonly purpose: EmbeddingPurpose;
  readonly dimensions?: number;
  readonly signal?: AbortSignal;
  /** True when nobody waits for it: an embedder in this process may let questions go first. */
  readonly background?: boolean;
  /** Told of every call that the embedder is asked for, once it has ended, however; retries are calls, too. Must not throw. */
  readonly onCall?: (call: EmbeddingCall) => void;
}

/** What became of one call of an embedder. */
export interface EmbeddingCall {
  /** `provider/model`. */
  readonly model: string;
  readonly texts: readonly string[];
  /** Null: the provider did not say. Zero for calls that failed. */
  readonly inputTokens: number | null;
  readonly outcome: 'ok' | 'failed' | 'cancelled';
  readonly errorCode: string | null;
  readonly durationMs: number;
}

export interface EmbeddingResult {
  /** One a text, in order, each normalised to length 1 (all zero for a text that holds nothing to embed). */
  readonly vectors: readonly Float32Array[];
  readonly inputTokens: number;
  /** True when asking again later may give better vectors of the same space: use them, but do not keep them. */
  readonly provisional?: boolean;
  /** True when no call was made: all vectors were known. */
  readonly fromMemory?: boolean;
}

/** Text to vectors. The `do` prefix keeps callers from using it past the generator, which splits, caches and checks. */
export interface Embedder {
  readonly profile: EmbedderProfile;
  doEmbed(texts: readonly string[], request: EmbeddingRequest): Promise<EmbeddingResult>;
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** The face that the rest of the house uses: any number of texts, cached, batched, checked. */
export interface EmbeddingGenerator {
  readonly profile: EmbedderProfile;
  /** `${id}@${version}:${dimensions}`: names the vector space. */
  readonly generation: string;
  /** Rejects with `embedding_failed` (retryable or not, as the cause says) or `embedding_dimension_mismatch`. */
  embed(texts: readonly string[], request: EmbeddingRequest): Promise<EmbeddingResult>;
}

/** An embedder in one version and width. */
export type EmbeddingSpace = Pick<EmbedderProfile, 'id' | 'version' | 'dimensions'>;

/** The embedders of this server, made when they are first asked for. */
export interface EmbeddingSpaces {
  /** The one that the server is set to. */
  readonly own: EmbeddingGenerator;
  /**
   * Who makes vectors of the space; null when nobody does here (now): the embedder is of another version, or its provider
   * cannot be reached or has no key. Never rejects.
   */
  find(space: EmbeddingSpace): Promise<EmbeddingGenerator | null>;
  /**
   * The embedder of this name, proven by one call. Without dimensions: as wide as it is by itself. Rejects with
   * `model_not_found`, `embedding_dimension_mismatch`, or why the call failed.
   */
  open(
    model: string,
    options: { readonly dimensions: number | null; readonly signal?: AbortSignal },
  ): Promise<EmbeddingGenerator>;
}

/** Vectors of single words that a model had to be asked for; kept for good. */
export interface WordVectorCache {
  getMany(model: string, words: readonly string[]): Promise<ReadonlyMap<string, Float32Array>>;
  putMany(model: string, vectors: ReadonlyMap<string, Float32Array>): Promise<void>;
}
