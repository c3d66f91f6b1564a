import type { ErrorCode } from '../../kernel/index.ts';
import type { Batch } from '../../resilience/index.ts';
import type { AnswerEvent } from '../ports.ts';

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

/** A stream is found by the tenant that it belongs to and the id of its message. */
export type StreamName = Pick<StreamAbout, 'tenantId' | 'id'>;

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
   * another, with the signal's reason when it aborts, and with `stream_interrupted` when the stream is dropped meanwhile.
   */
  read(options?: { readonly signal?: AbortSignal }): AsyncIterable<Batch<AnswerEvent>>;
}

/**
 * Keeps what answers say while they are made and for a while after, within bounds. Writers call in order: `open`, `append`
 * with consecutive numbers from 1, `finish`. What is not finished within a time, or no longer fits, may be dropped.
 */
export interface StreamBuffer {
  open(about: StreamAbout): Promise<void>;
  /** Without effect for a stream that was dropped. */
  append(id: string, batch: Batch<AnswerEvent>): Promise<void>;
  finish(id: string, ending: StreamEnding): Promise<void>;
  /** Null: there never was one, or it is no longer kept. */
  find(name: StreamName): Promise<KeptStream | null>;
}
