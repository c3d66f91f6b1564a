import { AppError, type ErrorCode } from '../../kernel/index.ts';

const TOO_LONG =
  /context (?:length|window)|maximum (?:context|input|prompt)|(?:prompt|input) is too long|too many tokens/i;
const NETWORK_CODES =
  /^(?:ECONN|ENOTFOUND|EAI_AGAIN|EHOST|ENETUNREACH|EPIPE|ETIMEDOUT|UND_ERR_(?:SOCKET|CONNECT)|CERT_|DEPTH_ZERO|SELF_SIGNED)/;
/** A connection that was made, and broke. */
const BROKEN = /^(?:ECONNRESET|EPIPE|UND_ERR_SOCKET)/;
const TIMEOUTS =
  /^(?:TimeoutError|APIConnectionTimeoutError|ConnectTimeoutError|HeadersTimeoutError|BodyTimeoutError)$/;
const MAX_CAUSES = 5;

/** What can be read off the errors of the many libraries behind LangChain.js. */
interface Signs {
  readonly status: number | null;
  /** Codes, types and names of the error and its causes. */
  readonly words: readonly string[];
  readonly text: string;
  readonly retryAfterMs: number | undefined;
}

interface Verdict {
  readonly code: ErrorCode;
  readonly message: string;
  readonly retryable: boolean;
}

/**
 * The failure of a class of LangChain.js as an error of the house. Its own wording is left out: it may hold keys or content.
 * `began`: a part of the answer was already there.
 */
export function toLangChainFailure(error: unknown, { began = false }: { readonly began?: boolean } = {}): AppError {
  if (error instanceof AppError) return error;
  const signs = readSigns(error);
  const { code, message, retryable } = judge(signs, began);
  const names = signs.words.map((word) => word.replace(/[^\w.-]/g, '?').slice(0, 64));
  return new AppError(code, message, {
    retryable,
    ...(signs.retryAfterMs === undefined ? {} : { retryAfterMs: signs.retryAfterMs }),
    cause: new Error(`The LangChain class failed with status ${signs.status ?? 'none'}, named ${names.join(', ')}.`),
  });
}

/** A streamed answer whose rest did not come. */
export function cutOff(): AppError {
  return new AppError('stream_interrupted', 'The connection to the provider broke in mid-answer. Try again.', {
    retryable: true,
  });
}

export function invalidAnswer(detail: string): AppError {
  return new AppError('provider_invalid_response', `The provider sent ${detail}. Try again.`, { retryable: true });
}

function judge(signs: Signs, began: boolean): Verdict {
  const { status, words, text } = signs;
  const has = (pattern: RegExp): boolean => words.some((word) => pattern.test(word));
  if (status === 402 || has(/quota|billing/i)) {
    return refusal('provider_quota_exhausted', 'The provider account has no quota left. Check its plan and billing.');
  }
  if (has(/context_?(?:length|overflow)/i) || ((status === 400 || status === 413) && TOO_LONG.test(text))) {
    return refusal(
      'context_length_exceeded',
      'The request is too long for this model. Shorten it or choose another model.',
    );
  }
  if (status !== null) return judgeByStatus(status);
  if (has(/rate_?limit/i)) return judgeByStatus(429);
  if (has(/authentication|invalid_api_key|permission/i)) return judgeByStatus(401);
  if (has(TIMEOUTS)) return passing('provider_timeout', 'The provider took too long. Try again.');
  if (has(NETWORK_CODES) || has(/^APIConnectionError$/) || /fetch failed|terminated|socket hang up/.test(text)) {
    if (began) return passing('stream_interrupted', 'The connection to the provider broke in mid-answer. Try again.');
    if (has(BROKEN) || /terminated|socket hang up|other side closed/.test(text)) {
      return passing('stream_interrupted', 'The connection to the provider broke before it answered. Try again.');
    }
    return passing('provider_unreachable', 'The provider could not be reached. Check its address and the network.');
  }
  if (has(/^SyntaxError$/))
    return passing('provider_invalid_response', 'The provider sent what is no valid JSON. Try again.');
  return passing('provider_error', 'The provider failed to answer. Try again.');
}

function judgeByStatus(status: number): Verdict {
  if (status === 401 || status === 403) {
    return refusal(
      'provider_authentication_failed',
      'The provider refused the API key. Check the key and what it may do.',
    );
  }
  if (status === 429) return passing('provider_rate_limited', 'The provider is limiting requests. Try again later.');
  if (status >= 500 || status === 408 || status === 409 || status === 425) {
    return passing('provider_error', 'The provider failed to answer. Try again.');
  }
  return refusal('provider_rejected_request', 'The provider refused the request. Check the model and its settings.');
}

function refusal(code: ErrorCode, message: string): Verdict {
  return { code, message, retryable: false };
}

function passing(code: ErrorCode, message: string): Verdict {
  return { code, message, retryable: true };
}

function readSigns(error: unknown): Signs {
  const words: string[] = [];
  let status: number | null = null;
  let retryAfterMs: number | undefined;
  let text = '';
  let current: unknown = error;
  for (let depth = 0; depth < MAX_CAUSES && isObject(current); depth += 1) {
    const { response, headers } = current;
    const named = [current['status'], current['statusCode'], isObject(response) ? response['status'] : null];
    status ??= named.find(isStatus) ?? null;
    retryAfterMs ??= readRetryAfterMs(headers ?? (isObject(response) ? response['headers'] : null));
    for (const word of [current['name'], current['code'], current['type'], current['lc_error_code']]) {
      if (typeof word === 'string') words.push(word);
    }
    text += ` ${typeof current['message'] === 'string' ? current['message'].slice(0, 2000) : ''}`;
    current = current['cause'];
  }
  return { status, words, text, retryAfterMs };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function isStatus(value: unknown): value is number {
  return typeof value === 'number' && value >= 400 && value <= 599;
}

/** Seconds alone: what the libraries keep of the headers differs, and a date is rare. */
function readRetryAfterMs(headers: unknown): number | undefined {
  if (!isObject(headers)) return undefined;
  const of = (name: string): unknown => (headers instanceof Headers ? headers.get(name) : headers[name]);
  const exact = Number.parseFloat(String(of('retry-after-ms') ?? ''));
  if (exact >= 0) return exact;
  const seconds = Number.parseFloat(String(of('retry-after') ?? ''));
  return seconds >= 0 ? seconds * 1000 : undefined;
}
