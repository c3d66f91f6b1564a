import type { EmbeddingGenerator } from '../embeddings/index.ts';
import type { ChatMessage, FinishReason, ModelSettings, TokenUsage, ToolCallDelta } from '../llm/index.ts';
import type { Bot, Citation, FoundChunk, MetadataFilter } from '../store/index.ts';

export interface SearchRequest {
  readonly query: string;
  /** 1..50; the bot's setting, else 10. */
  readonly maxNumResults?: number;
  readonly filter?: MetadataFilter;
  /** Hits below this fused score (0..1) are left out. */
  readonly scoreThreshold?: number;
  readonly hybrid?: { readonly embeddingWeight: number; readonly textWeight: number };
  /**
   * Give the passages that are worth reading instead of whole chunks: at most so many characters in all, and no more
   * passages than `maxNumResults`.
   */
  readonly passages?: { readonly maxCharacters: number };
  /** The turns before the query, oldest first: entities of theirs are carried into a follow-up question. */
  readonly messages?: readonly ChatMessage[];
  /** Told of every call to a remote embedder that the search makes. Must not throw. */
  readonly onEmbedding?: (use: EmbeddingUse) => void;
}

export interface SearchHit {
  readonly chunk: FoundChunk;
  /** Fused score: convex sum of the min-max scaled sides, 0..1. */
  readonly score: number;
  /** Raw scores: cosine in the bot's first space and BM25; null where a side had nothing for this chunk. */
  readonly scores: { readonly dense: number | null; readonly lexical: number | null };
}

export interface SearchResult {
  /** The query as searched, after entities were carried over. */
  readonly query: string;
  /** Best first. */
  readonly hits: readonly SearchHit[];
  /** True when the dense side could not be asked and words alone answered. */
  readonly lexicalOnly: boolean;
}

/** A call to an embedder that is not in this process. */
export interface EmbeddingUse {
  /** `provider/model`. */
  readonly model: string;
  readonly text: string;
  /** Null: the provider did not say. Zero for calls that failed. */
  readonly inputTokens: number | null;
  readonly outcome: 'ok' | 'failed' | 'cancelled';
  readonly errorCode: string | null;
  readonly durationMs: number;
}

/** One space of vectors that a bot's content is searched in. */
export interface SearchSpace {
  /** `generation` is an index key of the store: it names the chunks that the vectors are of, too. */
  readonly embeddings: Pick<EmbeddingGenerator, 'profile' | 'generation' | 'embed'>;
  /** Its share of the fused score while it answers; the words have what all spaces leave. */
  readonly weight: number;
  /** How long a search waits for the query's vector, in milliseconds. Default 250, 1500 for a remote embedder. */
  readonly patienceMs?: number;
}

/**
 * The spaces of a bot, the one that covers its content first. Others may hold vectors of some chunks only, and may be
 * late: the first one stands in for them. The first one's chunk set is the one that words are searched in; it is there
 * even when its embedder cannot be had, and then rejects.
 */
export interface SearchSpaces {
  of(bot: Bot): Promise<readonly SearchSpace[]>;
}

/** Finds passages of one bot by words and meaning. */
export interface Searcher {
  search(bot: Bot, request: SearchRequest, signal?: AbortSignal): Promise<SearchResult>;
}

export interface AnswerRequest extends ModelSettings {
  readonly bot: Bot;
  /** The client's messages, oldest first; the last one is the question, or what a tool answered. */
  readonly messages: readonly ChatMessage[];
  /** An id to continue, true to begin one, absent for none. */
  readonly conversation?: string | true;
  readonly keyId?: string;
  /** The id that the answer is to have; absent: a new one. */
  readonly messageId?: string;
  /** True when nobody reads the answer before its end: the model's failures are then survived until it is complete. */
  readonly wholeAnswer?: boolean;
  /** `off`: the answer is made anew, and not kept for others. */
  readonly cache?: 'off';
  /** The answer goes on behind what another process has told of it: see `Answerer`. */
  readonly continues?: ToldAnswer;
}

/** What was told of an answer whose process is gone. */
export interface ToldAnswer {
  /** As its start said. */
  readonly conversationId: string | null;
  readonly servedBy: string;
  readonly passages: string | null;
  /** The texts of its events, in order. */
  readonly pieces: readonly string[];
  /** The question, and what the first so many pieces used, are in the ledger already; absent: nothing is. */
  readonly booked?: number;
}

/** Where an answer comes from: made for this request, or made for an equal one, or for one that means the same. */
export type CacheState = 'miss' | 'exact' | 'semantic';

/**
 * An answer as it comes: one `start` (nothing is committed before it: whatever fails earlier rejects), then text and calls of
 * tools, then one `end`. A failure after `start` rejects from the iterator with an AppError; there is never a quiet end.
 */
export type AnswerEvent =
  | {
      readonly type: 'start';
      readonly messageId: string;
      readonly conversationId: string | null;
      /** The model that answers, `provider/model`. */
      readonly servedBy: string;
      /** Upstream calls that were made for it; 0 when no model was asked. */
      readonly attempts: number;
      readonly cache: CacheState;
      /** How the answer falls short of what was asked for: steps of the degradation ladder, `lexical_search`. Mostly empty. */
      readonly degraded: readonly string[];
      /** Equal for equal passages in equal order, which the markers `[n]` point to. Absent: there are none. */
      readonly passages?: string;
    }
  | { readonly type: 'text-delta'; readonly text: string }
  | ToolCallDelta
  | {
      readonly type: 'end';
      readonly finishReason: FinishReason;
      readonly usage: TokenUsage;
      /** Verified: every quote is an exact part of the stored document at its offsets. */
      readonly citations: readonly Citation[];
      /** True when the answer rests on passages; false when it was declined or nothing fitted. */
      readonly grounded: boolean;
      /** As in `start`. */
      readonly degraded: readonly string[];
    };

/**
 * Question to cited answer. With `continues` the events are a `start`, then what comes behind the told text, then an `end`
 * that speaks of the whole: its usage holds an estimate of what was used before. Question and conversation are those
 * that were opened then. Rejects with `stream_interrupted` when the answer cannot go on: the passages are others, it is
 * JSON, or what is made now does not begin with what was told.
 */
export interface Answerer {
  /**
   * The iterator must be read to its end or returned; returning or aborting cancels the model call at once.
   * `reportUsage` is told what the answer has used so far: when the model is asked, as it speaks, and at the end of
   * whatever kind, so that the last report holds for answers that broke off or were left, too.
   */
  answer(
    request: AnswerRequest,
    signal: AbortSignal,
    reportUsage?: (usage: TokenUsage) => void,
  ): AsyncIterable<AnswerEvent>;
}
