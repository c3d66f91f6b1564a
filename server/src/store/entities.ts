import type { JsonObject } from '../kernel/index.ts';
import type { DocumentStructure } from './document-structure.ts';
import type { WebSource } from './web-source.ts';

/** All times in the store are milliseconds since 1970; the wire turns them into unix seconds. */
export interface Tenant {
  readonly id: string;
  readonly name: string;
  readonly createdAt: number;
  readonly updatedAt: number;
}

export interface BotSettings {
  readonly instructions: string | null;
  /** `provider/model`, or null for the server's default. */
  readonly model: string | null;
  /** All models that may answer, `model` being the first of them; null or absent: `model`, then the server's fallbacks. */
  readonly models?: readonly BotModel[] | null;
  readonly temperature: number | null;
  readonly maxOutputTokens: number | null;
  readonly refusalMessage: string | null;
  readonly retrieval: RetrievalSettings;
  readonly privacy: { readonly pii: 'off' | 'mask' | 'vault' };
  readonly metadata: JsonObject;
  /** How sources are cut that do not say it themselves; null or absent: as the server does. */
  readonly chunking?: ChunkingStrategy | null;
  /** The template of its prompts; null or absent: the server's default. */
  readonly prompt?: PromptSetting | null;
}

/** A template that comes with the server, by its version, or one of the owner's. */
export type PromptSetting = { readonly template: string } | { readonly text: string };

/** A model that may answer for a bot. */
export interface BotModel {
  /** `provider/model`. */
  readonly model: string;
  /** Lower ones are asked first; those of equal rank share the calls by weight. */
  readonly rank: number;
  readonly weight: number;
  /** Which of the server's keys of that provider, counted from 1; absent: all alike. */
  readonly keys?: readonly { readonly key: number; readonly weight: number }[];
  /** It answers worse, at a lower price: answers of it say so. */
  readonly cheaper?: boolean;
}

/**
 * How content is cut into chunks. `auto`: along its structure; `static`: into pieces of one size, which overlap;
 * `langchain`: by a text splitter of that family, made from `options`.
 */
export type ChunkingStrategy =
  | { readonly type: 'auto' }
  | { readonly type: 'static'; readonly maxChunkSizeTokens: number; readonly chunkOverlapTokens: number }
  | {
      readonly type: 'langchain';
      readonly module: string;
      readonly className: string;
      readonly options: SplitterOptions;
    };

export type SplitterOptions = Readonly<Record<string, string | number | boolean | readonly string[]>>;

export interface RetrievalSettings {
  readonly maxNumResults?: number;
  readonly maxContextTokens?: number;
  readonly scoreThreshold?: number;
  /** Weights of the two sides in the fused score; null or absent: the embedder's own. */
  readonly hybrid?: { readonly embeddingWeight: number; readonly textWeight: number };
}

export interface Bot extends BotSettings {
  readonly id: string;
  readonly tenantId: string;
  readonly name: string;
  readonly slug: string;
  /**
   * Another one after each change of the bot's content or settings, in the transaction of the change: an answer that was
   * made under it holds as long as the bot is read with it. Set by the store; absent: nothing has changed since the bot
   * was created.
   */
  readonly contentRevision?: string;
  readonly createdAt: number;
  readonly updatedAt: number;
}

export type SourceType = 'text' | 'qa' | 'file' | 'url' | 'sitemap' | 'crawl';
export type SourceStatus = 'queued' | 'processing' | 'ready' | 'partial' | 'failed';
export type TrainingStage = 'fetching' | 'loading' | 'embedding';

export interface Failure {
  readonly code: string;
  readonly message: string;
}

/** One file, text or list of questions that a source is made from; its bytes are in the blob store. */
export interface SourceInput {
  readonly name: string;
  readonly mediaType: string;
  /** SHA-256 of the bytes, hex: the blob's key. */
  readonly blobHash: string;
  readonly bytes: number;
  /** The address of a web page. */
  readonly url?: string;
  /** Of a web page: its bytes and how they are cut. Its documents stay as they are while this stays the same. */
  readonly trainedAs?: string;
}

export interface SourceCounts {
  readonly documents: number;
  readonly chunks: number;
  readonly tokens: number;
  /** Chunks whose vectors were taken over from an earlier version. */
  readonly reused: number;
}

export interface Source {
  readonly id: string;
  readonly tenantId: string;
  readonly botId: string;
  readonly type: SourceType;
  readonly title: string;
  readonly url: string | null;
  readonly status: SourceStatus;
  readonly stage: TrainingStage | null;
  readonly progress: { readonly done: number; readonly total: number };
  readonly counts: SourceCounts;
  readonly lastError: Failure | null;
  readonly jobId: string | null;
  readonly externalKey: string | null;
  readonly metadata: JsonObject;
  readonly inputs: readonly SourceInput[];
  /** Only of sources that are fetched from the web. */
  readonly web?: WebSource;
  /** SHA-256 over the inputs (of a web source, over what is to be fetched): equal hashes need no work. */
  readonly contentHash: string;
  /** How it is cut; null or absent: as its bot says. */
  readonly chunking?: ChunkingStrategy | null;
  readonly createdAt: number;
  readonly updatedAt: number;
}

/**
 * `building`: being trained, unseen. `searchable`: found by words and, as far as they are there, by vectors.
 * `refused`: could not be used; `lastError` says why. Removed documents leave no row.
 */
export type DocumentState = 'building' | 'searchable' | 'refused';

export interface Document {
  readonly id: string;
  readonly tenantId: string;
  readonly botId: string;
  readonly sourceId: string;
  readonly title: string;
  readonly url: string | null;
  /** The name of the input it came from. */
  readonly inputName: string;
  /** `trainedAs` of its input; null when that has none. */
  readonly trainedAs?: string | null;
  readonly state: DocumentState;
  readonly lastError: Failure | null;
  /** SHA-256 of `text`, hex. */
  readonly contentHash: string;
  /** The cleaned text that all offsets point into (UTF-16 code units, end exclusive). Empty when refused. */
  readonly text: string;
  /** What the loader knew of the text's structure, to cut it again by; absent: only what the text shows. */
  readonly structure?: DocumentStructure | null;
  readonly tokens: number;
  readonly createdAt: number;
}

export interface Chunk {
  readonly id: string;
  readonly tenantId: string;
  readonly botId: string;
  readonly sourceId: string;
  readonly documentId: string;
  /** 0, 1, 2 ... within the document. */
  readonly position: number;
  /** `text === document.text.slice(start, end)`, always. */
  readonly start: number;
  readonly end: number;
  readonly text: string;
  readonly headingPath: readonly string[];
  readonly page: number | null;
  readonly tokens: number;
  /** SHA-256 of what is embedded (title, heading path, text), hex: equal hashes share vectors. */
  readonly hash: string;
}

/** A document with its chunks, as training hands it to the store. */
export interface NewDocument {
  readonly document: Omit<Document, 'tenantId' | 'botId' | 'sourceId' | 'createdAt'>;
  readonly chunks: readonly NewChunk[];
  /** MinHash of the text, by which near-duplicates are found; absent: only equal texts are. */
  readonly signature?: Uint8Array;
  /** How the chunks were cut; absent: the first set. */
  readonly chunkSet?: string;
}

/** A document on its way into a source. */
export type AddedDocument = Omit<NewDocument, 'chunkSet'> & { readonly sourceId: string };

export type NewChunk = Omit<Chunk, 'tenantId' | 'botId' | 'sourceId' | 'documentId'>;

/** The vectors of one chunk: one a window, each of the generation's dimensions, normalised to length 1. */
export interface ChunkVectors {
  readonly chunkId: string;
  readonly windows: readonly Float32Array[];
}

export type JobState = 'queued' | 'running' | 'succeeded' | 'failed' | 'cancelled';

export interface Job {
  readonly id: string;
  readonly tenantId: string;
  readonly botId: string | null;
  readonly sourceId: string | null;
  readonly kind: string;
  readonly state: JobState;
  readonly stage: string;
  /**
   * Lower runs first, within one bot's jobs; set by each stage, so that early stages of one job pass late stages of
   * another. A point is worth six seconds of waiting, so that nothing waits for ever.
   */
  readonly priority: number;
  readonly progress: { readonly done: number; readonly total: number };
  readonly attempts: number;
  readonly maxAttempts: number;
  readonly lease: { readonly owner: string; readonly expiresAt: number } | null;
  /** Grows with every lease; a write with an older token is refused. */
  readonly fencingToken: number;
  readonly lastError: Failure | null;
  readonly cancelRequested: boolean;
  /** Not before this time (back-off). */
  readonly runAt: number;
  /** After this time the job ends as `failed`. */
  readonly deadlineAt: number;
  readonly payload: JsonObject;
  /** Where the stage goes on, as it said when it last gave its place to others; absent: from its start. */
  readonly resume?: JsonObject;
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly finishedAt: number | null;
}

/** Jobs that wait, counted by kind and stage. */
export interface QueuedJobs {
  readonly kind: string;
  readonly stage: string;
  readonly jobs: number;
  /** Since when the one that waits longest could have run; null when all of them are put off to a later time. */
  readonly dueSince: number | null;
}

/** A process that runs jobs, as it last said of itself. */
export interface Worker {
  readonly id: string;
  readonly host: string;
  readonly pid: number;
  /** How many stages it runs at once, at most. */
  readonly places: number;
  readonly running: number;
  readonly startedAt: number;
  readonly seenAt: number;
}

export interface Conversation {
  readonly id: string;
  readonly tenantId: string;
  readonly botId: string;
  readonly endUser: string | null;
  readonly title: string | null;
  /** Rolling summary of the messages up to and with `summarizedThrough`. */
  readonly summary: string | null;
  readonly summarizedThrough: string | null;
  /** When the summary was begun: it holds nothing that was deleted before. */
  readonly summarizedAt: number | null;
  readonly metadata: JsonObject;
  readonly createdAt: number;
  readonly updatedAt: number;
}

export interface Citation {
  /** The number in the text's `[n]` marker. */
  readonly index: number;
  readonly sourceId: string;
  readonly documentId: string;
  readonly chunkId: string;
  readonly externalKey: string | null;
  readonly title: string;
  readonly url: string | null;
  readonly page: number | null;
  /** `quote === document.text.slice(start, end)`. */
  readonly start: number;
  readonly end: number;
  readonly quote: string;
  readonly score: number;
}

export interface Message {
  readonly id: string;
  readonly tenantId: string;
  readonly botId: string;
  readonly conversationId: string;
  readonly role: 'user' | 'assistant';
  readonly content: string;
  /** `incomplete`: cut by an error or by the client leaving. */
  readonly status: 'complete' | 'incomplete';
  readonly citations: readonly Citation[];
  readonly grounded: boolean | null;
  readonly servedBy: string | null;
  /** How an answer came, for replaying its stream; absent: not known. */
  readonly stream?: MessageStream;
  readonly createdAt: number;
}

export interface MessageStream {
  /** The length of each event's text after the first event, in UTF-16 units; together `content`. */
  readonly pieces: readonly number[];
  /** Why it ended; `cancelled`: it was stopped; null: it broke off. */
  readonly finishReason: string | null;
  readonly usage: { readonly inputTokens: number; readonly outputTokens: number } | null;
}

export const API_KEY_SCOPES = [
  'chat',
  'search',
  'sources:read',
  'sources:write',
  'bots:read',
  'bots:write',
  'keys',
  'usage:read',
  'privacy',
  'metrics',
  'admin',
] as const;

export type ApiKeyScope = (typeof API_KEY_SCOPES)[number];

export interface ApiKey {
  readonly id: string;
  readonly tenantId: string;
  readonly name: string;
  /** HMAC-SHA-256 of the secret under the server's pepper, hex. The secret itself is stored nowhere. */
  readonly secretHash: string;
  /** First and last characters of the secret, to recognise it by. */
  readonly hint: string;
  readonly scopes: readonly ApiKeyScope[];
  /** Bot ids this key is bound to; null: all of the tenant. */
  readonly bots: readonly string[] | null;
  readonly origins: readonly string[] | null;
  readonly limits: {
    readonly requestsPerMinute?: number;
    readonly tokensPerMinute?: number;
    readonly concurrent?: number;
  };
  readonly expiresAt: number | null;
  readonly revokedAt: number | null;
  readonly lastUsedAt: number | null;
  readonly createdAt: number;
}

export interface IdempotencyRecord {
  readonly key: string;
  /** Hash of method, path and body: the same key with another request is an error. */
  readonly fingerprint: string;
  readonly state: 'running' | 'done';
  readonly status: number | null;
  readonly body: string | null;
  readonly createdAt: number;
  /** The process that claimed it is dead; `body` names what it had begun. */
  readonly isAbandoned?: true;
}
