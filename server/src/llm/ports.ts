import type { JsonObject } from '../kernel/index.ts';

/** One message of a conversation as models read it. */
export type ChatMessage =
  | { readonly role: 'system' | 'user'; readonly content: string }
  | {
      readonly role: 'assistant';
      /** Empty when the model only called tools. */
      readonly content: string;
      readonly toolCalls?: readonly ToolCall[];
    }
  /** What a tool answered to the call of that id. */
  | { readonly role: 'tool'; readonly content: string; readonly toolCallId: string };

/** A call that a model made; the client runs the tool. */
export interface ToolCall {
  /** Made by the provider; the tool's answer names it. */
  readonly id: string;
  readonly name: string;
  /** As the model wrote them: JSON as a rule, but nothing promises it. */
  readonly argumentsText: string;
}

/** A function that the client offers to the model. */
export interface ToolDefinition {
  readonly name: string;
  readonly description?: string;
  /** JSON schema of the arguments; none: the function takes none. */
  readonly parameters?: JsonObject;
  readonly strict?: boolean;
}

/** Whether the model has to call a tool, and which. */
export type ToolChoice = 'auto' | 'none' | 'required' | { readonly name: string };

/** The form of the answer, where something else than text is wanted. */
export type ResponseFormat =
  | { readonly type: 'json_object' }
  | {
      readonly type: 'json_schema';
      readonly name: string;
      readonly description?: string;
      readonly schema?: JsonObject;
      readonly strict?: boolean;
    };

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

/** What a client may ask of a model, whoever it is; a provider leaves out what it does not know. */
export interface ModelSettings {
  readonly temperature?: number;
  readonly topP?: number;
  readonly seed?: number;
  readonly presencePenalty?: number;
  readonly frequencyPenalty?: number;
  /** `none`, `minimal`, `low`, `medium`, `high` or what a provider adds to these; for models that reason. */
  readonly reasoningEffort?: string;
  readonly maxOutputTokens?: number;
  readonly stop?: readonly string[];
  /** Opaque end-user id, passed on to providers that take one. */
  readonly endUser?: string;
  readonly tools?: readonly ToolDefinition[];
  readonly toolChoice?: ToolChoice;
  readonly parallelToolCalls?: boolean;
  readonly responseFormat?: ResponseFormat;
}

export interface ChatModelRequest extends ModelSettings {
  readonly messages: readonly ChatMessage[];
  /** The same question and passages that the messages hold, for models that do not read prompts (the extractive one). */
  readonly grounding: {
    readonly question: string;
    readonly passages: readonly Passage[];
    readonly refusalMessage: string;
  } | null;
}

export type FinishReason = 'stop' | 'length' | 'content_filter' | 'tool_calls';

export interface TokenUsage {
  /** All of the prompt, whatever part of it was cached. */
  readonly inputTokens: number;
  /** All that was written, reasoning included. */
  readonly outputTokens: number;
  /** Of the input: read from the provider's prompt cache. */
  readonly cachedInputTokens?: number;
  /** Of the input: written to the provider's prompt cache, which some charge more for. */
  readonly cacheWriteTokens?: number;
  /** Of the output: thought, not said. */
  readonly reasoningTokens?: number;
}

/**
 * A piece of a call of a tool. The first piece of an `index` bears `id` and `name`; the pieces of its arguments follow in
 * order, and pieces of several calls may alternate.
 */
export interface ToolCallDelta {
  readonly type: 'tool-call-delta';
  /** 0, 1, 2 ... in the order in which the model began its calls. */
  readonly index: number;
  readonly id?: string;
  readonly name?: string;
  /** The next piece of the arguments; may be empty. */
  readonly argumentsText: string;
}

/**
 * What a model says, in order: any number of `text-delta` and `tool-call-delta`, then exactly one `end`. A stream that
 * cannot be finished rejects with an AppError from the iterator; it never ends quietly without `end`.
 */
export type ChatModelEvent =
  | { readonly type: 'text-delta'; readonly text: string }
  | ToolCallDelta
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
