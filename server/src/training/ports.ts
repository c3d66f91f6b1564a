import type { Readable } from 'node:stream';
import type { ErrorCode, JsonObject } from '../kernel/index.ts';
import type {
  Bot,
  ChunkingStrategy,
  Document,
  DocumentStructure,
  NewDocument,
  RemovalReceipt,
  Source,
} from '../store/index.ts';
import type { RefusedPart } from './loaders/loaded-text.ts';

/** What a client hands in to be trained on. */
export type SourceContent =
  | { readonly type: 'text'; readonly title: string; readonly content: string }
  | { readonly type: 'qa'; readonly title?: string; readonly items: readonly QuestionAndAnswer[] }
  | { readonly type: 'file'; readonly title?: string; readonly files: AsyncIterable<UploadedFile> }
  | WebContent;

/** What is fetched. `url`: that page; `sitemap`: the pages it lists; `crawl`: pages of the site, by their links. */
export interface WebContent {
  readonly type: 'url' | 'sitemap' | 'crawl';
  readonly url: string;
  readonly include?: readonly string[];
  readonly exclude?: readonly string[];
  readonly maxPages?: number;
  /** Null: only when asked. */
  readonly syncIntervalMs?: number | null;
}

export interface QuestionAndAnswer {
  readonly question: string;
  readonly answer: string;
}

export interface UploadedFile {
  readonly name: string;
  readonly mediaType: string;
  readonly content: Readable;
}

export interface SourceOptions {
  readonly externalKey?: string;
  readonly metadata?: JsonObject;
  /** How the source is cut; absent: as its bot says. */
  readonly chunking?: ChunkingStrategy;
}

export interface Upsert {
  readonly source: Source;
  readonly change: 'created' | 'replaced' | 'unchanged';
}

/** Content to index. What these methods return is durable: it survives kill -9 and will be trained. */
export interface Trainer {
  /**
   * Rejects with `empty_content`, `binary_content`, `unsupported_file_type`, `content_too_large` or `invalid_encoding`
   * when that is plain from the content itself, with `url_invalid` or `url_not_allowed` when that is plain from an
   * address; nothing is kept then.
   * Files are streams: `title`, `options` and (for `put`) `metadata` are complete only when `files` has been read to its
   * end, because the fields of a form may follow its files, so they are read after that. An error thrown by `files` or
   * by a file's stream is passed on as it is, and nothing is kept.
   */
  add(bot: Bot, content: SourceContent, options: SourceOptions): Promise<Source>;
  /** Creates or replaces by external key; unchanged content does no work. The old version answers until the new is ready. */
  put(
    bot: Bot,
    externalKey: string,
    replacement: Omit<SourceOptions, 'externalKey'> & { readonly content: SourceContent },
  ): Promise<Upsert>;
  /** Trains a source again from its stored inputs, or from the web: pages that have not changed stay as they are. */
  sync(bot: Bot, source: Source): Promise<Source>;
  /** Takes effect in search and answers before it resolves. Null when there is no such source. */
  remove(bot: Bot, sourceId: string): Promise<RemovalReceipt | null>;
  /** Takes sources that the store has just deleted, with these documents, out of the vector index. */
  forget(bot: Bot, sourceIds: readonly string[], documentIds: readonly string[]): Promise<void>;
  /** Deletes the bot and all of its content. Null when there is no such bot. */
  removeBot(bot: Bot): Promise<RemovalReceipt | null>;
}

/** What worker threads make of inputs: documents ready for the store, part by part. */
export interface DocumentParser {
  /**
   * One part of an input, from its beginning (`from: null`) or behind an earlier part (`from: part.next`). Rejects with
   * an AppError when the input cannot be read (further).
   */
  parse(
    input: ParserInput & { readonly from: string | null; readonly caution?: ReadingCaution },
    signal?: AbortSignal,
  ): Promise<ParsedPart>;
  /** Cuts the text of a stored document. The same text and strategy give the same chunks. */
  cut(text: TextToCut, signal?: AbortSignal): Promise<readonly ParsedChunk[]>;
  start(): Promise<void>;
  stop(): Promise<void>;
}

export interface TextToCut extends Pick<Document, 'title' | 'text' | 'structure'> {
  readonly chunking: ChunkingStrategy;
}

export interface ParserInput {
  /** Where the bytes lie. */
  readonly path: string;
  /** How many there are; absent: not known. */
  readonly bytes?: number;
  readonly name: string;
  readonly mediaType: string;
  /** Title to use when the content has none of its own. */
  readonly fallbackTitle: string;
  /** How it is cut; absent: `auto`. */
  readonly chunking?: ChunkingStrategy;
}

/**
 * How to go on where reading has ended the thread: with one file of an archive a part, or past the next file (or stretch
 * of a text), which is refused with the fault. What does not consist of several rejects with the fault, unread.
 */
export interface ReadingCaution {
  readonly type: 'one-by-one' | 'pass-over';
  readonly fault: { readonly code: ErrorCode; readonly message: string };
}

/** A splitter from outside, as the chunker uses it. */
export interface TextSplitter {
  /** For messages: `MarkdownTextSplitter`. */
  readonly name: string;
  /** How much of a piece the next one may repeat, in UTF-16 units. */
  readonly overlap: number;
  splitText(text: string): Promise<readonly string[]>;
}

/** Loads the splitter of a `langchain` strategy. Rejects with `chunking_failed` when it cannot be had. */
export type TextSplitterLoader = (
  strategy: Extract<ChunkingStrategy, { readonly type: 'langchain' }>,
) => Promise<TextSplitter>;

/** What a part of an input gave. The same input gives the same parts again. */
export interface ParsedPart {
  readonly documents: readonly ParsedDocument[];
  /** Parts that cannot be used. */
  readonly refusals: readonly RefusedPart[];
  /** Where the next part begins; null when the input ends here. */
  readonly next: string | null;
  /** How much of the input has been read with this part, 0..1; null when that cannot be told. */
  readonly share: number | null;
}

/** Cleaned text and its chunks; ids are given by the pipeline. */
export interface ParsedDocument {
  /** The input's name, or that of its part: `reports.zip/2024/may.md`. */
  readonly name: string;
  readonly title: string;
  readonly url: string | null;
  /** All offsets point into this. */
  readonly text: string;
  /** What the loader knew of it, to cut it again by. */
  readonly structure?: DocumentStructure;
  readonly tokens: number;
  readonly contentHash: string;
  /** See `signatureOf`; absent: near-duplicates of it are not found. */
  readonly signature?: Uint8Array;
  readonly chunks: readonly ParsedChunk[];
}

export type ParsedChunk = Omit<NewDocument['chunks'][number], 'id'>;
