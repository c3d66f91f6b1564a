import { AppError, type Clock } from '../../kernel/index.ts';

/** Runs work that must be done within the time; rejects with AppError `timeout` or the signal's reason, whatever the work does then. */
export async function withinTime<Result>(
  limit: { readonly clock: Clock; readonly milliseconds: number; readonly signal: AbortSignal | undefined },
  work: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const ended = new AbortController();
  const signal = limit.signal === undefined ? ended.signal : AbortSignal.any([limit.signal, ended.signal]);
  const cut = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
  cut.catch(() => {});
  limit.clock.sleep(limit.milliseconds, signal).then(
    () => ended.abort(new AppError('timeout', `Not finished within ${limit.milliseconds} ms.`, { retryable: true })),
    () => {},
  );
  try {
    signal.throwIfAborted();
    return await Promise.race([work(signal), cut]);
  } finally {
    ended.abort('done');
  }
}
