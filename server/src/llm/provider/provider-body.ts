import { field, textOrNull } from './json-access.ts';
import { invalidResponse, type ProviderFailure, readRetryAfterMs } from './provider-errors.ts';
import type { ProviderResponse } from './provider-http.ts';

const LARGEST_ERROR_BODY = 64 * 1024;

/** The whole body as JSON; rejects with `provider_invalid_response` when it is none or larger than `maxBytes`. */
export async function readJsonBody(response: ProviderResponse, maxBytes: number): Promise<unknown> {
  const text = await readText(response, maxBytes);
  if (text === null) throw invalidResponse('an answer that is too large');
  if (text.trim() === '') throw invalidResponse('an empty answer');
  try {
    return JSON.parse(text);
  } catch (error) {
    throw invalidResponse('an answer that is no valid JSON', error);
  }
}

/** Null, and the response cancelled, when there is more than `maxBytes`. */
async function readText(response: ProviderResponse, maxBytes: number): Promise<string | null> {
  const all: Uint8Array[] = [];
  let bytes = 0;
  for (let pieces = await response.read(); pieces !== null; pieces = await response.read()) {
    for (const piece of pieces) {
      bytes += piece.byteLength;
      all.push(piece);
    }
    if (bytes > maxBytes) {
      response.cancel();
      return null;
    }
  }
  return Buffer.concat(all).toString('utf8');
}

/** What a response that is no success says. A body that cannot be read tells nothing that the status does not. */
export async function readFailure(response: ProviderResponse, now: number): Promise<ProviderFailure> {
  const retryAfterMs = readRetryAfterMs(response, now);
  return {
    status: response.status,
    ...describeError(await readErrorBody(response)),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  };
}

async function readErrorBody(response: ProviderResponse): Promise<unknown> {
  try {
    const body: unknown = JSON.parse((await readText(response, LARGEST_ERROR_BODY)) ?? '');
    return field(body, 'error') ?? body;
  } catch {
    return null;
  } finally {
    response.cancel();
  }
}

/** The parts of an error object, which compatible servers fill more or less; some send the message alone. */
export function describeError(error: unknown): Pick<ProviderFailure, 'code' | 'type' | 'message'> {
  return {
    code: textOrNull(field(error, 'code')),
    type: textOrNull(field(error, 'type')),
    message: textOrNull(field(error, 'message')) ?? textOrNull(error) ?? '',
  };
}
