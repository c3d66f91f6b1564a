import { AppError } from '../../kernel/index.ts';

/** Statuses that a server gives when it is only busy, or not well. */
const PASSING = new Set([408, 425, 429]);
const LONGEST_RETRY_AFTER_S = 3_600;

/** What a status means that brings no page. */
export function refusedStatus(status: number, retryAfter: string | null): AppError {
  if (status === 404 || status === 410) {
    return new AppError('page_not_found', `There is no page at this address (status ${status}).`);
  }
  const retryable = status >= 500 || PASSING.has(status);
  const seconds = Number(retryAfter ?? Number.NaN);
  return new AppError('fetch_failed', `The web server answered with status ${status} instead of the page.`, {
    retryable,
    ...(seconds >= 0 && seconds <= LONGEST_RETRY_AFTER_S ? { retryAfterMs: seconds * 1_000 } : {}),
  });
}

/** Makes one of the house's errors of what a connection failed with; its own pass as they are. */
export function fetchFailure(error: unknown, signal: AbortSignal): unknown {
  if (error instanceof AppError && error.code !== 'timeout') return error;
  if (signal.aborted) {
    // The total time is up, or whoever asked has stopped: theirs is passed on.
    const { reason } = signal;
    return reason instanceof AppError && reason.code === 'timeout' ? timedOut(error) : reason;
  }
  const code = codeOf(error);
  if (/TIMEOUT|ETIMEDOUT/.test(code)) return timedOut(error);
  if (/CERT|TLS|SSL|SELF_SIGNED|UNABLE_TO/.test(code)) {
    return failed('The certificate of the web server is not valid', error);
  }
  return failed('The web server cannot be reached, or broke off', error);
}

function codeOf(error: unknown): string {
  const { code, cause, errors } = error as { code?: unknown; cause?: unknown; errors?: readonly unknown[] };
  if (typeof code === 'string') return code;
  if (Array.isArray(errors) && errors.length > 0) return codeOf(errors[0]);
  return cause === undefined ? '' : codeOf(cause);
}

function timedOut(cause: unknown): AppError {
  return new AppError('fetch_timeout', 'The web server did not answer in time.', { retryable: true, cause });
}

function failed(what: string, cause: unknown): AppError {
  const code = codeOf(cause);
  return new AppError('fetch_failed', `${what}${code === '' ? '' : ` (${code})`}.`, { retryable: true, cause });
}
