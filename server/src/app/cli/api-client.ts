import { CliError, EXIT, exitCodeOf } from './cli-error.ts';

export type Wire = Readonly<Record<string, unknown>>;

export interface ApiClient {
  readonly url: string;
  /** Rejects with a CliError for error answers and when the server cannot be reached. */
  request(method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE', path: string, options?: RequestOptions): Promise<Wire>;
  /** The body of the answer as it comes. Rejects as `request` does. */
  download(path: string, options?: RequestOptions): Promise<AsyncIterable<Uint8Array>>;
  /** The `data` of each server-sent event, parsed; ends at `[DONE]` or the end of the stream. */
  stream(path: string, options: RequestOptions & { readonly method?: 'GET' | 'POST' }): AsyncIterable<Wire>;
}

export interface RequestOptions {
  readonly json?: unknown;
  readonly form?: FormData;
  /** Bytes that are sent as they are read. */
  readonly content?: { readonly type: string; readonly stream: AsyncIterable<Uint8Array> };
  readonly signal?: AbortSignal;
}

/** Talks to a ChatSphere server over HTTP. */
export function createApiClient(options: {
  readonly url: string;
  readonly key: string;
  readonly fetch: typeof fetch;
}): ApiClient {
  const url = options.url.replace(/\/+$/, '');

  async function send(method: string, path: string, request: RequestOptions): Promise<Response> {
    const headers: Record<string, string> = { authorization: `Bearer ${options.key}` };
    if (request.json !== undefined) headers['content-type'] = 'application/json';
    if (request.content !== undefined) headers['content-type'] = request.content.type;
    const body = request.form ?? (request.json === undefined ? null : JSON.stringify(request.json));
    const init: RequestInit & { duplex?: 'half' } =
      request.content === undefined ? { body } : { body: ReadableStream.from(request.content.stream), duplex: 'half' };
    try {
      return await options.fetch(`${url}${path}`, { method, headers, signal: request.signal ?? null, ...init });
    } catch (error) {
      if (request.signal?.aborted) throw error;
      throw new CliError(EXIT.provider, `The server at ${url} cannot be reached.`, {
        code: 'server_unreachable',
        hint: 'Is it running? Start it with: chatsphere serve',
      });
    }
  }

  return {
    url,
    async request(method, path, request = {}) {
      const response = await send(method, path, request);
      const body = asWire(await response.json().catch(() => ({})));
      if (!response.ok) throw apiError(response.status, body);
      return body;
    },
    async download(path, request = {}) {
      const response = await send('GET', path, request);
      if (!response.ok) throw apiError(response.status, asWire(await response.json().catch(() => ({}))));
      return response.body ?? ReadableStream.from([]);
    },
    async *stream(path, request) {
      const response = await send(request.method ?? 'POST', path, request);
      if (!response.ok) throw apiError(response.status, asWire(await response.json().catch(() => ({}))));
      if (response.body === null) return;
      for await (const data of readEvents(response.body)) {
        if (data === '[DONE]') return;
        const event = asWire(JSON.parse(data));
        if ('error' in event) throw apiError(502, event);
        yield event;
      }
    },
  };
}

function apiError(status: number, body: Wire): CliError {
  const error = asWire(body['error']);
  const code = typeof error['code'] === 'string' ? error['code'] : `http_${status}`;
  const message =
    typeof error['message'] === 'string' ? error['message'] : `The server answered with status ${status}.`;
  return new CliError(exitCodeOf(status, code), message, { code, ...hintFor(code) });
}

function hintFor(code: string): { readonly hint?: string } {
  if (code === 'bot_not_found' || code === 'model_not_found')
    return { hint: 'See what there is: chatsphere bots list' };
  if (code === 'source_not_found') return { hint: 'See what there is: chatsphere sources list --bot BOT' };
  if (code.endsWith('_api_key'))
    return { hint: 'Give a key with --key, or leave out --server to work on the data folder.' };
  return {};
}

export function asWire(value: unknown): Wire {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Wire) : {};
}

export function asList(value: unknown): readonly Wire[] {
  return Array.isArray(value) ? value.map(asWire) : [];
}

export function asText(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

export function asNumber(value: unknown): number {
  return typeof value === 'number' ? value : 0;
}

async function* readEvents(body: ReadableStream<Uint8Array>): AsyncIterable<string> {
  const decoder = new TextDecoder();
  let pending = '';
  for await (const bytes of body) {
    pending += decoder.decode(bytes, { stream: true });
    const frames = pending.split(/\r?\n\r?\n/);
    pending = frames.pop() ?? '';
    for (const frame of frames) {
      const data = frame.split(/\r?\n/).filter((line) => line.startsWith('data:'));
      if (data.length > 0) yield data.map((line) => line.slice(5).replace(/^ /, '')).join('\n');
    }
  }
}
