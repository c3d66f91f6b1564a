import type { AppError, ErrorCode } from '../../kernel/index.ts';
import type { TokenUsage } from '../../llm/index.ts';
import type { Batch } from '../../resilience/index.ts';
import type { AnswerEvent, AnswerRequest } from '../ports.ts';

/** Whose answer it is, and what every part of it bears. */
export interface StreamAbout {
  /** Of the message. */
  readonly id: string;
  readonly tenantId: string;
  readonly botId: string;
  /** The key that asked; null: the server's own. */
  readonly keyId: string | null;
  readonly endUser: string | null;
  /** The bot as the client named it. */
  readonly model: string;
  /** In milliseconds since 1970. */
  readonly createdAt: number;
}

/** A key that equal requests are sent under, and a hash of what is asked. */
export interface StreamClaim {
  readonly key: string;
  readonly fingerprint: string;
}

/** What it takes to make an answer anew in another process. Kept beside its stream, no longer than that. */
export interface AnswerOrder {
  readonly answer: Omit<AnswerRequest, 'bot' | 'messageId'>;
  readonly isResumable: boolean;
  readonly claim: StreamClaim | null;
  /** A name that the client has for the chat. */
  readonly chatKey: string | null;
}

/** How a process makes a stream. */
export interface StreamMaking {
  /** Null: nobody else can make the answer. Asked for at most once. */
  readonly order: () => AnswerOrder | null;
  /** Called at most once: another process has taken the stream up, and nothing that is written here is read any more. */
  readonly onReplaced: () => void;
}

/** A stream that this process has taken up. */
export interface TakenUp {
  readonly about: StreamAbout;
  readonly order: AnswerOrder | null;
  /** The events that it has, from number 1 on. */
  readonly told: readonly AnswerEvent[];
  /** Who told these first so many events has handed the stream over, and written down what they used; null: nobody has. */
  readonly booked: number | null;
}

/** A stream is found by the tenant that it belongs to and the id of its message. */
export type StreamName = Pick<StreamAbout, 'tenantId' | 'id'>;

/** An answer that is made, or was. */
export interface AnswerStream {
  readonly about: StreamAbout;
  /** Whether it is made now; else it is read again. */
  readonly isLive: boolean;
  /** What was used so far: estimated until the answer ends, then exact. Null: not known here. */
  used(): TokenUsage | null;
  /** Resolves once nothing is done for it any more. Never rejects. */
  readonly settled: Promise<void>;
  /** Whether there may be more of it for who reads it again, after its reading has failed with this error. */
  canResume(error: AppError): boolean;
  /**
   * Every event from number 1 on, in batches. Whoever reads must read to the end, return, or abort: an answer that
   * nobody reads is cancelled. `after`: the number of the last event that the reader has already.
   */
  read(options?: { readonly signal?: AbortSignal; readonly after?: number }): AsyncIterable<Batch<AnswerEvent>>;
}

/** How a stream ended: with its `end` event, or before its time. */
export type StreamEnding =
  | { readonly type: 'complete' }
  | {
      readonly type: 'failed';
      readonly code: ErrorCode;
      /** Safe to show, as an AppError's. */
      readonly message: string;
      readonly retryable: boolean;
    };

export interface KeptStream {
  readonly about: StreamAbout;
  /** Whether it had ended when it was found. */
  readonly isOver: boolean;
  /**
   * Every event from number 1 on, as it comes. Ends after a complete stream; rejects with the AppError that ended
   * another, with the signal's reason when it aborts, and with `stream_interrupted` when the stream is dropped meanwhile, or
   * the process that makes it is gone or has handed it over.
   */
  read(options?: { readonly signal?: AbortSignal }): AsyncIterable<Batch<AnswerEvent>>;
}

/**
 * Keeps what answers say while they are made and for a while after, within bounds. Writers call in order: `open`, `append`
 * with consecutive numbers from 1, `finish` or `handOver`. What is not finished within a time, or no longer fits, may be dropped.
 */
export interface StreamBuffer {
  open(about: StreamAbout, making: StreamMaking): Promise<void>;
  /** Without effect for a stream that was dropped. */
  append(id: string, batch: Batch<AnswerEvent>): Promise<void>;
  finish(id: string, ending: StreamEnding): Promise<void>;
  /**
   * In place of `finish`, by a maker that ends before its stream does: another process may take that up at once. False: none
   * can, or it is not known; the stream has ended like this.
   */
  handOver(id: string, ending: StreamEnding): Promise<boolean>;
  /** Null: there never was one, or it is no longer kept. Rejects with `stream_unavailable` when that cannot be seen now. */
  find(name: StreamName): Promise<KeptStream | null>;
  /** False: what other processes keep cannot be seen now. */
  seesOthers(): boolean;
  /**
   * Makes this process the maker of a stream whose maker is gone, or has handed it over: it goes on with `append` and
   * `finish`, without `open`. Of many who try one gets it. Null: it has ended, its maker lives, it is not kept, or another was quicker.
   */
  takeUp(name: StreamName, onReplaced: () => void): Promise<TakenUp | null>;
}
