import { AppError, type Clock } from '../../kernel/index.ts';
import type { ChatModel, ChatModelEvent, ChatModelRequest } from '../ports.ts';
import { createLinkedAbort } from './linked-abort.ts';
import { createWatchdog } from './watchdog.ts';

/** A moment (milliseconds since 1970) by which the model must have said something, and what is missing if it has not. */
export interface Due {
  readonly at: number;
  readonly missing: string;
}

export interface ModelStream {
  /** The next event. Rejects as soon as the time is up or the signal aborts, whether or not the model heeds it. */
  next(due: Due): Promise<ChatModelEvent>;
  /** Ends the call. Cancels it at the provider unless its `end` was read. */
  close(): void;
}

export interface ModelStreamOptions {
  readonly model: ChatModel;
  readonly request: ChatModelRequest;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** When the call ends even if nobody reads it any more (milliseconds since 1970). */
  readonly deadlineAt: number;
}

/** One call of a model, whose waits are bounded and whose provider is told at once when nobody wants it any more. */
export function openModelStream({ model, request, clock, signal, deadlineAt }: ModelStreamOptions): ModelStream {
  const abort = createLinkedAbort(signal);
  const watchdog = createWatchdog(clock);
  const iterator = model.doStream(request, { signal: abort.signal })[Symbol.asyncIterator]();
  let rejectWaiting: ((reason: unknown) => void) | null = null;
  let state: 'open' | 'ended' | 'closed' = 'open';
  abort.signal.addEventListener('abort', () => rejectWaiting?.(abort.signal.reason), { once: true });

  function pull(): Promise<IteratorResult<ChatModelEvent>> {
    return new Promise((resolve, reject) => {
      if (abort.signal.aborted) return reject(abort.signal.reason);
      rejectWaiting = reject;
      iterator.next().then(resolve, reject);
    });
  }

  function expectBy({ at, missing }: Due): void {
    watchdog.arm(Math.min(at, deadlineAt), () => abort.abort(timedOut(missing)));
  }

  return {
    async next(due) {
      expectBy(due);
      try {
        const { done, value } = await pull();
        if (done) throw new AppError('stream_interrupted', 'The model stopped in mid-answer.', { retryable: true });
        if (value.type === 'end') state = 'ended';
        return value;
      } finally {
        rejectWaiting = null;
        expectBy({ at: deadlineAt, missing: 'finish its answer' });
      }
    },
    close() {
      if (state === 'closed') return;
      if (state === 'open') abort.abort(new AppError('request_aborted', 'The answer is no longer wanted.'));
      state = 'closed';
      watchdog[Symbol.dispose]();
      abort[Symbol.dispose]();
      // Not awaited: a model that hangs would keep its reader waiting.
      iterator.return?.().catch(() => {});
    },
  };
}

function timedOut(missing: string): AppError {
  return new AppError('provider_timeout', `The model did not ${missing} in time. Try again.`, { retryable: true });
}
