import { randomUUID } from 'node:crypto';
import { type AppError, type Clock, type JsonValue, systemClock } from '../../kernel/index.ts';
import { CALL_ID_HEADER, watchConnect } from './connect-deadline.ts';
import { field, textOrNull } from './json-access.ts';
import {
  invalidResponse,
  type ProviderFailure,
  readRetryAfterMs,
  toProviderError,
  unreachable,
} from './provider-errors.ts';

export interface ProviderConnection {
  /** With the version, without a slash at the end: `https://api.openai.com/v1`. */
  readonly baseUrl: string;
  /** Null for servers that take calls without one. */
  readonly apiKey: string | null;
  /** Replaces Node's own. */
  readonly fetch?: typeof globalThis.fetch;
  /** Most milliseconds to connect; holds for Node's own fetch. Default 5,000. */
  readonly connectTimeoutMs?: number;
  readonly clock?: Clock;
}

export interface ProviderClient {
  /** Posts JSON. Resolves with a 2xx response whose body is unread; rejects with an AppError, or the signal's reason. */
  post(path: string, body: JsonValue, signal: AbortSignal | undefined): Promise<Response>;
}

const LARGEST_ERROR_BODY = 64 * 1024;

/** HTTP to one OpenAI-compatible provider, with every failure turned into an error of the house. */
export function createProviderClient(connection: ProviderConnection): ProviderClient {
  const { clock = systemClock } = connection;
  const baseUrl = connection.baseUrl.replace(/\/+$/, '');
  return {
    async post(path, body, signal) {
      const response = await send(connection, `${baseUrl}${path}`, { body: JSON.stringify(body), signal });
      if (response.ok) return response;
      throw toProviderError(await readFailure(response, clock.now()));
    },
  };
}

interface Call {
  readonly body: string;
  readonly signal: AbortSignal | undefined;
}

async function send(connection: ProviderConnection, url: string, { body, signal }: Call): Promise<Response> {
  const { fetch = globalThis.fetch, connectTimeoutMs = 5000, clock = systemClock } = connection;
  const callId = randomUUID();
  const connecting = new AbortController();
  const connect = watchConnect({
    callId,
    milliseconds: connectTimeoutMs,
    clock,
    onExpired: (error) => connecting.abort(error),
  });
  const anySignal = signal === undefined ? connecting.signal : AbortSignal.any([signal, connecting.signal]);
  try {
    const headers = headersOf(connection.apiKey, callId);
    // A redirect could lead the key elsewhere; it is answered like any other status.
    return await fetch(url, { method: 'POST', headers, body, signal: anySignal, redirect: 'manual' });
  } catch (error) {
    throw anySignal.aborted ? anySignal.reason : unreachable(error);
  } finally {
    connect[Symbol.dispose]();
  }
}

function headersOf(apiKey: string | null, callId: string): Record<string, string> {
  return {
    'content-type': 'application/json',
    [CALL_ID_HEADER]: callId,
    ...(apiKey === null ? {} : { authorization: `Bearer ${apiKey}` }),
  };
}

/** The whole body as JSON; rejects with `provider_invalid_response` when it is none or larger than `maxBytes`. */
export async function readJsonBody(response: Response, maxBytes: number): Promise<unknown> {
  const text = await readText(response, maxBytes);
  if (text === null) throw invalidResponse('an answer that is too large');
  if (text.trim() === '') throw invalidResponse('an empty answer');
  try {
    return JSON.parse(text);
  } catch (error) {
    throw invalidResponse('an answer that is no valid JSON', error);
  }
}

/** Null when there is more than `maxBytes`. */
async function readText(response: Response, maxBytes: number): Promise<string | null> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > maxBytes) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

async function readFailure(response: Response, now: number): Promise<ProviderFailure> {
  const retryAfterMs = readRetryAfterMs(response.headers, now);
  return {
    status: response.status,
    ...describeError(await readErrorBody(response)),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  };
}

async function readErrorBody(response: Response): Promise<unknown> {
  try {
    return field(JSON.parse((await readText(response, LARGEST_ERROR_BODY)) ?? ''), 'error');
  } catch {
    // A body that is cut off or no JSON (a proxy's HTML page) tells nothing that the status does not.
    return null;
  }
}

/** The parts of OpenAI's error object, which compatible servers fill more or less. */
export function describeError(error: unknown): Pick<ProviderFailure, 'code' | 'type' | 'message'> {
  return {
    code: textOrNull(field(error, 'code')),
    type: textOrNull(field(error, 'type')),
    message: textOrNull(field(error, 'message')) ?? '',
  };
}

/** The failure in an error object that came with status 200 or inside a stream; some servers put a status into `code`. */
export function toFailure(error: unknown): AppError {
  const code = field(error, 'code');
  return toProviderError({ status: typeof code === 'number' ? code : null, ...describeError(error) });
}
