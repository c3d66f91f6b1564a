import { AppError, type AppErrorOptions, type ErrorCode } from '../../kernel/index.ts';

/** A failure of Pinecone, with the status it answered with; null when it did not answer. */
export class PineconeFailure extends AppError {
  readonly status: number | null;

  constructor(code: ErrorCode, message: string, options: AppErrorOptions & { readonly status: number | null }) {
    super(code, message, options);
    this.status = options.status;
  }
}

/** Over the month's or plan's units: no waiting helps. */
const QUOTA = /(?:unit|storage|namespace|index(?:es)?) limit|current month|quota|upgrade/i;
const MOST_WORDS_READ = 2000;

/**
 * The failure behind an answer that is no success. Pinecone's own wording is read, not passed on: it may quote ids and
 * values.
 */
export function failureOfStatus(
  status: number,
  { text, headers, now }: { readonly text: string; readonly headers: Headers; readonly now: number },
): PineconeFailure {
  const words = text.slice(0, MOST_WORDS_READ);
  const refused = (code: ErrorCode, message: string): PineconeFailure => new PineconeFailure(code, message, { status });
  const retryAfterMs = readRetryAfterMs(headers.get('retry-after'), now);
  const passing = (code: ErrorCode, message: string): PineconeFailure =>
    new PineconeFailure(code, message, {
      status,
      retryable: true,
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    });
  if (status === 402 || ((status === 429 || status === 403) && QUOTA.test(words))) {
    return refused('provider_quota_exhausted', 'Pinecone says that a limit of the plan is reached. Check the plan.');
  }
  if (status === 401 || status === 403) {
    return refused('provider_authentication_failed', 'Pinecone refused the API key. Check PINECONE_API_KEY.');
  }
  if (status === 429) return passing('provider_rate_limited', 'Pinecone is limiting requests. Try again later.');
  if (status >= 500 || status === 408) return passing('provider_error', 'Pinecone failed to answer. Try again.');
  if (status === 404) return refused('provider_rejected_request', 'Pinecone does not have what was asked for.');
  return refused('provider_rejected_request', `Pinecone refused the request with status ${status}.`);
}

/** A call that broke before its answer was there, by the signs of `fetch` and of the SDK. */
export function failureOfCall(error: unknown): AppError {
  if (error instanceof AppError) {
    if (error.code !== 'timeout') return error;
    return new PineconeFailure('provider_timeout', 'Pinecone took too long. Try again.', {
      status: null,
      retryable: true,
    });
  }
  const name = error instanceof Error ? error.name : 'unknown';
  const cause = new Error(`The call of Pinecone failed with ${name}, ${codesOf(error).join(', ') || 'no code'}.`);
  if (name === 'SyntaxError') {
    return new PineconeFailure('provider_invalid_response', 'Pinecone sent what is no valid JSON. Try again.', {
      ...{ status: null, retryable: true, cause },
    });
  }
  if (name === 'PineconeArgumentError') return new AppError('internal_error', 'Pinecone was asked wrongly.', { cause });
  return new PineconeFailure(
    'provider_unreachable',
    'Pinecone could not be reached. Check the address and the network.',
    {
      ...{ status: null, retryable: true, cause },
    },
  );
}

/** Pinecone answered with this status. */
export function hasStatus(error: unknown, status: number): boolean {
  return error instanceof PineconeFailure && error.status === status;
}

function codesOf(error: unknown): string[] {
  const codes: string[] = [];
  for (let current: unknown = error; current instanceof Error && codes.length < 4; current = current.cause) {
    const { code } = current as NodeJS.ErrnoException;
    if (typeof code === 'string') codes.push(code.replace(/[^\w.-]/g, '?').slice(0, 64));
  }
  return codes;
}

/** Seconds or a date, as HTTP has it. */
function readRetryAfterMs(value: string | null, now: number): number | undefined {
  if (value === null || value === '') return undefined;
  const seconds = Number(value);
  if (seconds >= 0) return seconds * 1000;
  const at = Date.parse(value);
  return Number.isNaN(at) ? undefined : Math.max(0, at - now);
}
