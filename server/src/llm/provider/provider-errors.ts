import { AppError, type ErrorCode } from '../../kernel/index.ts';
import type { ProviderResponse } from './provider-http.ts';

/** What a provider said about a failure. Its own wording is left out: it may hold keys or content. */
export interface ProviderFailure {
  /** HTTP status, or null for an error inside a stream that names none. */
  readonly status: number | null;
  readonly code: string | null;
  readonly type: string | null;
  /** Looked at for signs of what went wrong, then dropped. */
  readonly message: string;
  readonly retryAfterMs?: number;
}

interface Verdict {
  readonly code: ErrorCode;
  readonly message: string;
  readonly retryable: boolean;
}

const QUOTA_CODES = new Set([
  'insufficient_quota',
  'billing_hard_limit_reached',
  'billing_not_active',
  'quota_exceeded',
  'billing_error',
]);
/** Anthropic says so with status 400. */
const NO_CREDIT = /credit balance is too low/i;
const TOO_LONG =
  /context (?:length|window)|maximum (?:context|input|prompt)|(?:prompt|input) is too long|too many tokens/i;

/** The failure as an error of the house, with what the provider called it as the cause. */
export function toProviderError(failure: ProviderFailure): AppError {
  const { code, message, retryable } = judge(failure);
  const said = [
    `status ${failure.status ?? 'none'}`,
    `code ${safeWord(failure.code)}`,
    `type ${safeWord(failure.type)}`,
  ];
  return new AppError(code, message, {
    retryable,
    ...(failure.retryAfterMs === undefined ? {} : { retryAfterMs: failure.retryAfterMs }),
    cause: new Error(`The provider answered with ${said.join(', ')}.`),
  });
}

function judge(failure: ProviderFailure): Verdict {
  return judgeByName(failure) ?? judgeByStatus(failure.status);
}

function judgeByName({ status, code, type, message }: ProviderFailure): Verdict | null {
  if (QUOTA_CODES.has(code ?? '') || QUOTA_CODES.has(type ?? '') || status === 402 || NO_CREDIT.test(message)) {
    return refusal('provider_quota_exhausted', 'The provider account has no quota left. Check its plan and billing.');
  }
  if (
    code === 'context_length_exceeded' ||
    type === 'request_too_large' ||
    ((status === 400 || status === 413) && TOO_LONG.test(message))
  ) {
    return refusal(
      'context_length_exceeded',
      'The request is too long for this model. Shorten it or choose another model.',
    );
  }
  if (status !== null) return null;
  if (/rate_limit/.test(`${code} ${type}`)) return judgeByStatus(429);
  if (/authentication|invalid_api_key|permission/.test(`${code} ${type}`)) return judgeByStatus(401);
  if (/invalid_request/.test(`${code} ${type}`)) return judgeByStatus(400);
  return null;
}

function judgeByStatus(status: number | null): Verdict {
  if (status === 401 || status === 403) {
    return refusal(
      'provider_authentication_failed',
      'The provider refused the API key. Check the key and what it may do.',
    );
  }
  if (status === 429) return passing('provider_rate_limited', 'The provider is limiting requests. Try again later.');
  if (status === null || status >= 500 || status === 408 || status === 409 || status === 425) {
    return passing('provider_error', 'The provider failed to answer. Try again.');
  }
  if (status === 404) {
    return refusal(
      'provider_rejected_request',
      'The provider does not know this model or address. Check model and base URL.',
    );
  }
  return refusal('provider_rejected_request', 'The provider refused the request. Check the model and its settings.');
}

function refusal(code: ErrorCode, message: string): Verdict {
  return { code, message, retryable: false };
}

function passing(code: ErrorCode, message: string): Verdict {
  return { code, message, retryable: true };
}

/** A name from outside, fit for a log. */
function safeWord(word: string | null): string {
  return word === null ? 'none' : word.replace(/[^\w.-]/g, '?').slice(0, 64);
}

export function invalidResponse(detail: string, cause?: unknown): AppError {
  return new AppError('provider_invalid_response', `The provider sent ${detail}. Try again.`, {
    retryable: true,
    ...(cause === undefined ? {} : { cause }),
  });
}

export function unreachable(cause: unknown): AppError {
  return new AppError(
    'provider_unreachable',
    'The provider could not be reached. Check the base URL and the network.',
    {
      retryable: true,
      cause,
    },
  );
}

/** The connection was made, and broke before anything was answered: the call may have been heard. */
export function unanswered(cause: unknown): AppError {
  return new AppError('stream_interrupted', 'The connection to the provider broke before it answered. Try again.', {
    retryable: true,
    cause,
  });
}

export function interrupted(cause?: unknown): AppError {
  return new AppError('stream_interrupted', 'The connection to the provider broke in mid-answer. Try again.', {
    retryable: true,
    ...(cause === undefined ? {} : { cause }),
  });
}

/** Milliseconds to wait from `retry-after-ms`, or `retry-after` in seconds or as a date; undefined when it says none. */
export function readRetryAfterMs(response: Pick<ProviderResponse, 'header'>, now: number): number | undefined {
  const exact = Number.parseFloat(response.header('retry-after-ms') ?? '');
  if (exact >= 0) return exact;
  const header = response.header('retry-after')?.trim() ?? '';
  if (/^\d+(?:\.\d+)?$/.test(header)) return Number(header) * 1000;
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}
