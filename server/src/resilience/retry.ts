import { AppError, type Clock } from '../kernel/index.ts';

export interface RetryOptions {
  /** Most calls in all, the first one included. */
  readonly attempts: number;
  readonly baseDelayMs: number;
  readonly maxDelayMs: number;
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly signal?: AbortSignal;
  /** A longer wait than this, asked for by the other side, ends the attempts. Default 60 s. */
  readonly maxRetryAfterMs?: number;
  /** When the whole must be done (milliseconds since 1970): a wait that would end later ends the attempts instead. */
  readonly deadlineAt?: number;
  /** Narrows what is tried again; `failures` are all so far, the newest last. Errors that are not `retryable` never are. */
  readonly mayRetry?: (failures: readonly AppError[]) => boolean;
  /** Told before each wait. */
  readonly onRetry?: (retry: { readonly error: AppError; readonly attempt: number; readonly delayMs: number }) => void;
}

/**
 * Calls `operation` until it succeeds, fails in a way that trying again cannot help, or the attempts are used up.
 * Waits with exponential back-off and full jitter (Brooker, "Exponential Backoff and Jitter", 2015); a `retryAfterMs` of
 * the error replaces the back-off. Rejects with the last error, whose cause then holds the errors of all attempts, or at
 * once with the signal's reason. Errors that are no AppError are never retried.
 */
export async function retry<Result>(
  options: RetryOptions,
  operation: (attempt: number) => Promise<Result>,
): Promise<{ readonly value: Result; readonly attempts: number }> {
  const failures: AppError[] = [];
  for (;;) {
    options.signal?.throwIfAborted();
    const attempt = failures.length + 1;
    try {
      return { value: await operation(attempt), attempts: attempt };
    } catch (error) {
      options.signal?.throwIfAborted();
      if (!(error instanceof AppError)) throw error;
      failures.push(error);
      const delayMs = nextDelayMs(failures, options);
      if (delayMs === null) throw withAllCauses(error, failures);
      options.onRetry?.({ error, attempt, delayMs });
      await options.clock.sleep(delayMs, options.signal);
    }
  }
}

/** How long to wait after the newest failure; null: do not try again. */
function nextDelayMs(failures: readonly AppError[], options: RetryOptions): number | null {
  const newest = failures.at(-1);
  if (newest === undefined || !newest.retryable || failures.length >= options.attempts) return null;
  if (options.mayRetry?.(failures) === false) return null;
  const delayMs = wishedDelayMs(newest, failures.length, options);
  if (delayMs === null) return null;
  const endsTooLate = options.deadlineAt !== undefined && options.clock.now() + delayMs >= options.deadlineAt;
  return endsTooLate ? null : delayMs;
}

function wishedDelayMs(newest: AppError, failed: number, options: RetryOptions): number | null {
  const { retryAfterMs } = newest;
  if (retryAfterMs === undefined || !(retryAfterMs >= 0)) {
    return options.random() * Math.min(options.maxDelayMs, options.baseDelayMs * 2 ** (failed - 1));
  }
  if (retryAfterMs > (options.maxRetryAfterMs ?? 60_000)) return null;
  // Never earlier than asked, and spread so that waiting clients do not return in step.
  return retryAfterMs + options.random() * options.baseDelayMs;
}

function withAllCauses(last: AppError, failures: readonly AppError[]): AppError {
  if (failures.length === 1) return last;
  return new AppError(last.code, last.message, {
    retryable: last.retryable,
    ...(last.param === undefined ? {} : { param: last.param }),
    ...(last.retryAfterMs === undefined ? {} : { retryAfterMs: last.retryAfterMs }),
    cause: new AggregateError(failures, `${failures.length} attempts failed`),
  });
}
