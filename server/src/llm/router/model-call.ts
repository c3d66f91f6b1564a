import type { ErrorCode } from '../../kernel/index.ts';
import type { ChatModelEvent, ChatModelRequest, TokenUsage } from '../ports.ts';
import type { LastResort } from './last-resort.ts';

/**
 * `start` comes first, and only once the first visible token or tool call is there: whatever fails before it is tried
 * again or elsewhere, whatever fails after it rejects.
 */
export type ModelCallEvent = ModelCallStart | ChatModelEvent;

export interface ModelCallStart {
  readonly type: 'start';
  /** Upstream calls that were made for this answer, the one that answers included. */
  readonly attempts: number;
  /** The model that answers, `provider/model`. */
  readonly servedBy: string;
  /** The steps of the degradation ladder that were taken, the first one first. Empty: the model that was asked answers. */
  readonly degraded: readonly string[];
}

/** What became of one upstream call. */
export interface ModelCallReport {
  /** `provider/model`. */
  readonly model: string;
  /** Tells keys of one provider apart without telling them; null when the call bore none. */
  readonly keyFingerprint: string | null;
  /** `cancelled`: nobody wanted its answer any more. */
  readonly outcome: 'ok' | 'failed' | 'cancelled';
  /** Of a failed call. */
  readonly errorCode: ErrorCode | null;
  /** Zero for calls that failed before the model took the prompt in. */
  readonly usage: TokenUsage;
  /** Who says so: the provider, or the counter of this house. */
  readonly usageSource: 'provider' | 'counted';
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  /** Milliseconds to the first visible token or tool call; null: there was none. */
  readonly firstTokenMs: number | null;
  readonly durationMs: number;
}

export interface ModelCallOptions {
  readonly signal?: AbortSignal;
  /** Told of every upstream call once it has ended, however: also of those that failed, and of those that were cancelled. Must not throw. */
  readonly onCall?: (report: ModelCallReport) => void;
  /** Nobody reads the answer before its end: nothing is yielded, and failures are survived, until it is complete. */
  readonly wholeAnswer?: boolean;
  /** Asked in turn when all models have failed, before the answer that is made of passages. */
  readonly lastResorts?: readonly LastResort[];
}

/** A way to an answer. */
export interface ModelCaller {
  /** The model that is asked first, `provider/model`. */
  readonly id: string;
  /**
   * Asks. Until the first visible token nothing is yielded and failures are retried where that can help; after it a
   * failure rejects from the iterator, with what the provider said or `stream_interrupted`. Aborting the signal or
   * returning the iterator cancels the call at the provider at once, whatever it is waiting for.
   */
  stream(request: ChatModelRequest, options?: ModelCallOptions): AsyncIterable<ModelCallEvent>;
}
