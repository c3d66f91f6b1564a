import { AppError, type Watchdogs } from '../../kernel/index.ts';
import type { ChatModel, ChatModelEvent, ChatModelRequest } from '../ports.ts';
import { createLinkedAbort } from './linked-abort.ts';

/** How a call ended. `cancelled`: it was closed, or its signal aborted, before it had ended by itself. */
export type ModelStreamEnd =
  | { readonly outcome: 'ok' }
  | { readonly outcome: 'cancelled' }
  | { readonly outcome: 'failed'; readonly error: AppError };

export interface ModelStream {
  /**
   * The next event, done after `end`. Rejects with an AppError, or the signal's reason, as soon as the time is up or the signal aborts,
   * whether or not the model heeds it. `dueAt`: by when the model must have spoken (milliseconds since 1970).
   */
  next(dueAt: number, missing: string): Promise<IteratorResult<ChatModelEvent>>;
  /** Told once the call has ended, however; at once when it has already. There is room for one listener. */
  whenEnded(listener: () => void): void;
  /** Cancels the call at the provider unless it has ended. */
  close(): void;
}

export interface ModelStreamOptions {
  readonly model: ChatModel;
  readonly request: ChatModelRequest;
  readonly signal: AbortSignal;
  /** When the call ends even if nobody reads it any more (milliseconds since 1970). */
  readonly deadlineAt: number;
  readonly watchdogs: Watchdogs;
  /** Told of every event before it is given out; an error that it returns fails the call instead. */
  readonly onEvent: (event: ChatModelEvent) => AppError | null;
  /** Told once. */
  readonly onEnd: (end: ModelStreamEnd) => void;
}

const UNREAD = 'be read to its end';

/**
 * One call of a model, whose waits are bounded and whose provider is told at once when nobody wants it any more. Made
 * for many small events: an event costs two promises above the model's own and no timer.
 */
export function openModelStream(options: ModelStreamOptions): ModelStream {
  const { model, request, signal, deadlineAt, onEvent } = options;
  const abort = createLinkedAbort(signal);
  const watchdog = options.watchdogs.create((missing) => fail(timedOut(missing)));
  const iterator = model.doStream(request, { signal: abort.signal })[Symbol.asyncIterator]();
  let resolveWaiting: ((result: IteratorResult<ChatModelEvent>) => void) | null = null;
  let onEnded: () => void = () => {};
  let rejectWaiting: ((reason: unknown) => void) | null = null;
  let ended = false;
  let failure: unknown = null;
  if (abort.signal.aborted) onAbort();
  // The provider's connection hears of it first: book-keeping may load a tokenizer, and would keep the provider at work.
  else abort.signal.addEventListener('abort', () => queueMicrotask(onAbort), { once: true });

  function onAbort(): void {
    if (!ended) finish({ outcome: 'cancelled' }, abort.signal.reason);
  }

  /** Ends the call; whoever waits is told why. */
  function finish(end: ModelStreamEnd, reason: unknown): void {
    ended = true;
    failure = reason;
    watchdog[Symbol.dispose]();
    // One that has ended by itself has nothing left to abort.
    if (end.outcome !== 'ok') abort.abort(reason);
    abort[Symbol.dispose]();
    // Not awaited: a model that hangs would keep its reader waiting.
    iterator.return?.().catch(() => {});
    options.onEnd(end);
    onEnded();
    const reject = rejectWaiting;
    resolveWaiting = null;
    rejectWaiting = null;
    reject?.(reason);
  }

  function fail(error: AppError): void {
    if (!ended) finish({ outcome: 'failed', error }, error);
  }

  function onResult(result: IteratorResult<ChatModelEvent>): void {
    if (ended) return;
    const fault = result.done === true ? brokenOff() : onEvent(result.value);
    if (fault === null) give(result);
    else fail(fault);
  }

  function give(result: IteratorResult<ChatModelEvent>): void {
    const resolve = resolveWaiting;
    resolveWaiting = null;
    rejectWaiting = null;
    if (result.done !== true && result.value.type === 'end') finish({ outcome: 'ok' }, null);
    else watchdog.arm(deadlineAt, UNREAD);
    resolve?.(result);
  }

  function onError(error: unknown): void {
    fail(error instanceof AppError ? error : brokenOff(error));
  }

  return {
    next: (dueAt, missing) =>
      new Promise((resolve, reject) => {
        if (ended) return failure === null ? resolve({ done: true, value: undefined }) : reject(failure);
        resolveWaiting = resolve;
        rejectWaiting = reject;
        watchdog.arm(Math.min(dueAt, deadlineAt), missing);
        iterator.next().then(onResult, onError);
      }),
    whenEnded(listener) {
      if (ended) listener();
      else onEnded = listener;
    },
    close() {
      if (!ended) finish({ outcome: 'cancelled' }, new AppError('request_aborted', 'The answer is no longer wanted.'));
    },
  };
}

function timedOut(missing: string): AppError {
  return new AppError('provider_timeout', `The model did not ${missing} in time. Try again.`, { retryable: true });
}

function brokenOff(cause?: unknown): AppError {
  return new AppError('stream_interrupted', 'The connection to the model broke in mid-answer. Try again.', {
    retryable: true,
    ...(cause === undefined ? {} : { cause }),
  });
}
