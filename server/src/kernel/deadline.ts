import { AppError } from './app-error.ts';

export interface Deadline extends Disposable {
  /** Aborts when the time is up or when the parent signal aborts, with that cause as the reason. */
  readonly signal: AbortSignal;
  /** Starts the time again from zero (for idle deadlines). */
  restart(): void;
}

/** A signal that aborts after `milliseconds` with an AppError `timeout`, or with its parent. Dispose it to free its timer. */
export function createDeadline(milliseconds: number, parent?: AbortSignal): Deadline {
  const controller = new AbortController();
  const onParentAbort = (): void => controller.abort(parent?.reason);
  const expire = (): void =>
    controller.abort(new AppError('timeout', `Not finished within ${milliseconds} ms.`, { retryable: true }));
  let timer = setTimeout(expire, milliseconds);
  if (parent?.aborted) onParentAbort();
  else parent?.addEventListener('abort', onParentAbort, { once: true });
  return {
    signal: controller.signal,
    restart() {
      clearTimeout(timer);
      timer = setTimeout(expire, milliseconds);
    },
    [Symbol.dispose]() {
      clearTimeout(timer);
      parent?.removeEventListener('abort', onParentAbort);
    },
  };
}
