export interface ChatMessage {
  readonly role: 'system' | 'user' | 'assistant';
  readonly content: string;
}

/** A numbered piece of the bot's content, as it stands in the system part of the prompt. */
export interface Passage {
  /** 1, 2, 3 ...: the number that a `[n]` marker in the answer points to. */
  readonly index: number;
  readonly title: string;
  readonly headingPath: readonly string[];
  readonly text: string;
  /** Fused retrieval score, 0..1. */
  readonly score: number;
}

export interface ChatModelRequest {
  readonly messages: readonly ChatMessage[];
  /** The same question and passages that the messages hold, for models that do not read prompts (the extractive one). */
  readonly grounding: {
    readonly question: string;
    readonly passages: readonly Passage[];
    readonly refusalMessage: string;
  } | null;
  readonly temperature?: number;
  readonly maxOutputTokens?: number;
  readonly stop?: readonly string[];
  /** Opaque end-user id, passed on to providers that take one. */
  readonly endUser?: string;
}

export type FinishReason = 'stop' | 'length' | 'content_filter' | 'tool_calls';

export interface TokenUsage {
  readonly inputTokens: number;
  readonly outputTokens: number;
}

/**
 * What a model says, in order: any number of `text-delta`, then exactly one `end`. A stream that cannot be finished
 * rejects with an AppError from the iterator; it never ends quietly without `end`.
 */
export type ChatModelEvent =
  | { readonly type: 'text-delta'; readonly text: string }
  | {
      readonly type: 'end';
      readonly finishReason: FinishReason;
      /** Null when the provider did not say; the caller then counts. */
      readonly usage: TokenUsage | null;
    };

/** One chat model at one provider. `doStream` may reject or throw from the iterator with AppError; `retryable` says whether trying again makes sense. */
export interface ChatModel {
  /** `provider/model`. */
  readonly id: string;
  doStream(request: ChatModelRequest, options: { readonly signal?: AbortSignal }): AsyncIterable<ChatModelEvent>;
}

/** Counts tokens (o200k_base), guarded against texts that make tokenizers slow. */
export interface TokenCounter {
  count(text: string): number;
}
