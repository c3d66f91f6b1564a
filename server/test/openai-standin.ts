import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

/** How the stand-in misbehaves. The streaming ones say `afterTokens` tokens first. */
export type StandinFault =
  | 'none'
  | 'rate_limit'
  | 'quota'
  | 'error_500'
  | 'error_529'
  | 'html_502'
  | 'unauthorized'
  | 'forbidden'
  | 'not_found'
  | 'bad_request'
  | 'context_length'
  | 'redirect'
  | 'hang_before_byte'
  | 'hang_after_head'
  | 'hang_mid_stream'
  | 'hang_after_finish'
  | 'reset_before_byte'
  | 'reset_mid_stream'
  | 'truncated'
  | 'no_done'
  | 'error_event'
  | 'malformed_line'
  | 'malformed_json'
  | 'error_in_200'
  | 'empty_body'
  | 'split_utf8'
  | 'crlf'
  | 'content_filter'
  | 'ignores_stream'
  | 'short_embeddings'
  | 'float_embeddings'
  | 'shuffled_embeddings';

export interface StandinSettings {
  /** What the model says, one token an item. */
  tokens: readonly string[];
  /** The misbehaviour of calls that have none from `nextFaults`. */
  fault: StandinFault;
  /** Misbehaviours of the next calls, used up in order. */
  nextFaults: StandinFault[];
  /** Tokens said before a mid-stream fault. */
  afterTokens: number;
  /** Headers sent with `rate_limit`. */
  rateLimitHeaders: Readonly<Record<string, string>>;
  /** Calls with another bearer token are refused; null: all are taken. */
  apiKey: string | null;
  /** Width of embeddings when a request names none. */
  dimensions: number;
}

export interface StandinRequest {
  readonly path: string;
  readonly authorization: string | undefined;
  /** Calls with the same one came over the same connection. */
  readonly clientPort: number | undefined;
  readonly body: Readonly<Record<string, unknown>>;
}

export interface Standin {
  /** Base URL with `/v1`. */
  readonly url: string;
  /** May be changed at any time. */
  readonly settings: StandinSettings;
  readonly requests: readonly StandinRequest[];
  /** Resolves once a call has come in (the `count`th since the start). */
  untilRequest(count?: number): Promise<void>;
  /** Resolves with the time (`performance.now()`) when a client has left a call that was not answered to its end. */
  untilAbort(): Promise<number>;
  stop(): Promise<void>;
}

/** An OpenAI-compatible server on a free local port that answers with made-up content and misbehaves as told. */
export async function startStandin(changes: Partial<StandinSettings> = {}): Promise<Standin> {
  const settings: StandinSettings = {
    tokens: ['Hello', ' there', ',', ' friend'],
    fault: 'none',
    nextFaults: [],
    afterTokens: 2,
    rateLimitHeaders: { 'retry-after': '1' },
    apiKey: null,
    dimensions: 1536,
    ...changes,
  };
  const requests: StandinRequest[] = [];
  const arrivals = createTally();
  const aborts = createTally();
  const sockets = new Set<Socket>();
  const server = createServer((request, response) => {
    response.on('close', () => {
      if (!response.writableFinished && !cutByUs.has(response)) aborts.add();
    });
    void answer(request, response);
  });
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const call = {
      path: request.url ?? '',
      authorization: request.headers.authorization,
      clientPort: request.socket.remotePort,
      body: await readJson(request),
    };
    requests.push(call);
    arrivals.add();
    const fault = settings.nextFaults.shift() ?? settings.fault;
    if (settings.apiKey !== null && call.authorization !== `Bearer ${settings.apiKey}`)
      refuse(response, 'unauthorized');
    else if (!failAtOnce(response, fault, settings)) await serve({ call, response, fault, settings });
  }

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    settings,
    requests,
    untilRequest: async (count = 1) => void (await arrivals.until(count)),
    untilAbort: () => aborts.until(1),
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

/** Responses that the stand-in itself cut off. */
const cutByUs = new WeakSet<ServerResponse>();

function cut(response: ServerResponse): void {
  cutByUs.add(response);
  response.socket?.resetAndDestroy();
}

/** Counts what happens and lets others wait for it. */
function createTally() {
  const times: number[] = [];
  const waiting: { readonly count: number; readonly resolve: (at: number) => void }[] = [];
  return {
    add(): void {
      times.push(performance.now());
      for (const { count, resolve } of waiting) if (times.length >= count) resolve(times.at(-1) ?? 0);
    },
    until: (count: number): Promise<number> =>
      new Promise((resolve) => {
        const at = times[count - 1];
        if (at === undefined) waiting.push({ count, resolve });
        else resolve(at);
      }),
  };
}

async function readJson(request: IncomingMessage): Promise<Record<string, unknown>> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString();
  return text === '' ? {} : JSON.parse(text);
}

const REFUSALS: Partial<Record<StandinFault, readonly [status: number, error: Record<string, unknown>]>> = {
  rate_limit: [429, { type: 'requests', code: 'rate_limit_exceeded' }],
  quota: [429, { type: 'insufficient_quota', code: 'insufficient_quota' }],
  error_500: [500, { type: 'server_error', code: null }],
  error_529: [529, { type: 'overloaded_error', code: null }],
  unauthorized: [401, { type: 'invalid_request_error', code: 'invalid_api_key' }],
  forbidden: [403, { type: 'invalid_request_error', code: 'unsupported_country' }],
  not_found: [404, { type: 'invalid_request_error', code: 'model_not_found' }],
  bad_request: [400, { type: 'invalid_request_error', code: 'invalid_value' }],
  context_length: [400, { type: 'invalid_request_error', code: 'context_length_exceeded' }],
};

/** What a client must never pass on. */
export const UPSTREAM_TEXT = 'upstream text with sk-leaked-key';

function refuse(
  response: ServerResponse,
  fault: StandinFault,
  headers: Readonly<Record<string, string>> = {},
): boolean {
  const refusal = REFUSALS[fault];
  if (refusal === undefined) return false;
  const [status, error] = refusal;
  response.writeHead(status, { 'content-type': 'application/json', 'x-request-id': 'req_upstream', ...headers });
  response.end(JSON.stringify({ error: { message: UPSTREAM_TEXT, param: null, ...error } }));
  return true;
}

/** Does the faults that need no answer; false when there is one to give. */
function failAtOnce(response: ServerResponse, fault: StandinFault, settings: StandinSettings): boolean {
  if (refuse(response, fault, fault === 'rate_limit' ? settings.rateLimitHeaders : {})) return true;
  if (fault === 'hang_before_byte') return true;
  if (fault === 'reset_before_byte') cut(response);
  else if (fault === 'html_502') response.writeHead(502, { 'content-type': 'text/html' }).end(`<html>${UPSTREAM_TEXT}`);
  else if (fault === 'redirect') response.writeHead(307, { location: 'http://127.0.0.1:1/' }).end();
  else if (fault === 'empty_body') response.writeHead(200, { 'content-type': 'application/json' }).end();
  else if (fault === 'malformed_json') response.writeHead(200, { 'content-type': 'application/json' }).end('{"data":[');
  else if (fault === 'error_in_200') sendJson(response, { error: { message: UPSTREAM_TEXT, code: 502 } });
  else if (fault === 'hang_after_head') response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
  else return false;
  return true;
}

interface Serving {
  readonly call: StandinRequest;
  readonly response: ServerResponse;
  readonly fault: StandinFault;
  readonly settings: StandinSettings;
}

async function serve({ call, response, fault, settings }: Serving): Promise<void> {
  if (call.path.endsWith('/models'))
    sendJson(response, { object: 'list', data: [{ id: 'gpt-test', object: 'model' }] });
  else if (call.path.endsWith('/embeddings')) sendJson(response, embeddings(call.body, fault, settings));
  else if (call.body['stream'] === true && fault !== 'ignores_stream')
    await sendStream({ call, response, fault, settings });
  else sendJson(response, completion(settings));
}

function sendJson(response: ServerResponse, body: unknown): void {
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

function usage(tokens: number) {
  return { prompt_tokens: 7, completion_tokens: tokens, total_tokens: 7 + tokens };
}

function completion({ tokens }: StandinSettings) {
  const message = { role: 'assistant', content: tokens.join('') };
  return {
    id: 'chatcmpl-1',
    object: 'chat.completion',
    choices: [{ index: 0, message, finish_reason: 'stop' }],
    usage: usage(tokens.length),
  };
}

function chunk(delta: Record<string, unknown>, finishReason: string | null = null): string {
  const choices = [{ index: 0, delta, finish_reason: finishReason }];
  return JSON.stringify({ id: 'chatcmpl-1', object: 'chat.completion.chunk', choices });
}

async function sendStream({ call, response, fault, settings }: Serving): Promise<void> {
  const wantsUsage = (call.body['stream_options'] as { include_usage?: boolean } | undefined)?.include_usage === true;
  const lines = fault === 'crlf' ? '\r\n' : '\n';
  const frame = (data: string): string =>
    fault === 'crlf' ? `: note${lines}event: message${lines}data: ${data}${lines}${lines}` : `data: ${data}\n\n`;
  response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' });
  response.write(frame(chunk({ role: 'assistant', content: '' })));
  const tokens = breaksMidStream(fault) ? settings.tokens.slice(0, settings.afterTokens) : settings.tokens;
  if (fault !== 'content_filter')
    await writeFrames(
      response,
      tokens.map((content) => frame(chunk({ content }))),
      fault,
    );
  if (breaksMidStream(fault)) return breakStream(response, fault, frame);
  response.write(frame(chunk({}, fault === 'content_filter' ? 'content_filter' : 'stop')));
  if (wantsUsage) response.write(frame(JSON.stringify({ choices: [], usage: usage(tokens.length) })));
  if (fault === 'hang_after_finish') return;
  if (fault !== 'no_done') response.write(frame('[DONE]'));
  response.end();
}

async function writeFrames(response: ServerResponse, frames: readonly string[], fault: StandinFault): Promise<void> {
  const bytes = Buffer.from(frames.join(''));
  if (fault !== 'split_utf8') return void response.write(bytes);
  for (const byte of bytes) {
    response.write(Buffer.from([byte]));
    await new Promise(setImmediate);
  }
}

function breaksMidStream(fault: StandinFault): boolean {
  return ['hang_mid_stream', 'reset_mid_stream', 'truncated', 'error_event', 'malformed_line'].includes(fault);
}

function breakStream(response: ServerResponse, fault: StandinFault, frame: (data: string) => string): void {
  if (fault === 'reset_mid_stream') setImmediate(() => cut(response));
  else if (fault === 'truncated') response.end('data: {"choices":[{"delta":{"conte');
  else if (fault === 'malformed_line') response.end(`${frame('{"choices":[{')}${frame(chunk({}, 'stop'))}`);
  else if (fault === 'error_event') {
    response.end(frame(JSON.stringify({ error: { message: UPSTREAM_TEXT, type: 'server_error', code: null } })));
  }
}

function embeddings(body: Readonly<Record<string, unknown>>, fault: StandinFault, settings: StandinSettings) {
  const inputs = Array.isArray(body['input']) ? body['input'] : [body['input']];
  const dimensions = typeof body['dimensions'] === 'number' ? body['dimensions'] : settings.dimensions;
  const asFloats = fault === 'float_embeddings' || body['encoding_format'] !== 'base64';
  const data = inputs.map((text, index) => {
    const vector = standinVector(String(text), dimensions);
    return { object: 'embedding', index, embedding: asFloats ? [...vector] : toBase64(vector) };
  });
  if (fault === 'short_embeddings') data.pop();
  if (fault === 'shuffled_embeddings') data.reverse();
  return { object: 'list', data, usage: { prompt_tokens: inputs.length, total_tokens: inputs.length } };
}

/** The vector that the stand-in gives a text: depends on the text alone, and is not of length 1. */
export function standinVector(text: string, dimensions: number): Float32Array {
  let state = 7;
  for (const unit of text) state = (state * 31 + (unit.codePointAt(0) ?? 0)) % 2_147_483_647;
  return Float32Array.from({ length: dimensions }, () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 1_073_741_823 - 1;
  });
}

function toBase64(vector: Float32Array): string {
  return Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength).toString('base64');
}
