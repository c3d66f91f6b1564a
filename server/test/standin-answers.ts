import type { ServerResponse } from 'node:http';
import type { StandinFault, StandinRequest, StandinSettings } from './standin-settings.ts';

const TOKENS_A_PACKET = 64;
const SLOW_TOKEN_MS = 200;

/** What a client must never pass on. */
export const UPSTREAM_TEXT = 'upstream text with sk-leaked-key';

const ERROR_EVENT = JSON.stringify({ error: { message: UPSTREAM_TEXT, type: 'server_error', code: null } });

/** Responses that the stand-in itself cut off. */
const cutByUs = new WeakSet<ServerResponse>();

/** Whether the stand-in itself ended the response so. */
export function wasCut(response: ServerResponse): boolean {
  return cutByUs.has(response);
}

function cut(response: ServerResponse): void {
  cutByUs.add(response);
  response.socket?.resetAndDestroy();
}

const REFUSALS: Partial<Record<StandinFault, readonly [status: number, error: Record<string, unknown>]>> = {
  rate_limit: [429, { type: 'requests', code: 'rate_limit_exceeded' }],
  quota: [429, { type: 'insufficient_quota', code: 'insufficient_quota' }],
  error_500: [500, { type: 'server_error', code: null }],
  error_503: [503, { type: 'server_error', code: 'overloaded' }],
  error_529: [529, { type: 'overloaded_error', code: null }],
  unauthorized: [401, { type: 'invalid_request_error', code: 'invalid_api_key' }],
  forbidden: [403, { type: 'invalid_request_error', code: 'unsupported_country' }],
  not_found: [404, { type: 'invalid_request_error', code: 'model_not_found' }],
  bad_request: [400, { type: 'invalid_request_error', code: 'invalid_value' }],
  context_length: [400, { type: 'invalid_request_error', code: 'context_length_exceeded' }],
};

/** Refuses the call if that is the fault. */
export function refuse(
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
export function failAtOnce(response: ServerResponse, fault: StandinFault, settings: StandinSettings): boolean {
  if (refuse(response, fault, fault === 'rate_limit' ? settings.rateLimitHeaders : {})) return true;
  if (fault === 'hang_before_byte') return true;
  if (fault === 'reset_before_byte') cut(response);
  else if (fault === 'html_502') response.writeHead(502, { 'content-type': 'text/html' }).end(`<html>${UPSTREAM_TEXT}`);
  else if (fault === 'redirect') response.writeHead(307, { location: 'http://127.0.0.1:1/' }).end();
  else if (fault === 'empty_body') response.writeHead(200, { 'content-type': 'application/json' }).end();
  else if (fault === 'empty_stream') response.writeHead(200, { 'content-type': 'text/event-stream' }).end();
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
  readonly sent: { tokens: number };
}

/** Answers the call, with the faults that an answer can have. */
export async function serve(serving: Serving): Promise<void> {
  const { call, response, fault, settings } = serving;
  if (call.path.endsWith('/models'))
    sendJson(response, { object: 'list', data: [{ id: 'gpt-test', object: 'model' }] });
  else if (call.path.endsWith('/embeddings')) sendJson(response, embeddings(call.body, fault, settings));
  else if (call.body['stream'] === true && fault !== 'ignores_stream') await sendStream(serving);
  else sendCompletion(serving);
}

/** A completion in one piece, also with what can go wrong on the way. */
function sendCompletion({ response, fault, settings }: Serving): void {
  const body = JSON.stringify(completion(settings));
  const half = body.slice(0, body.length / 2);
  if (fault === 'short_body' || fault === 'truncated' || fault === 'reset_mid_stream') {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length + 64 });
    response.write(half, () => (fault === 'reset_mid_stream' ? cut(response) : endEarly(response)));
  } else if (fault === 'hang_mid_stream') {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length }).write(half);
  } else if (fault === 'malformed_line') {
    response.writeHead(200, { 'content-type': 'application/json' }).end(half);
  } else {
    sendJson(response, completion(settings));
  }
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

async function sendStream(serving: Serving): Promise<void> {
  const { call, response, fault, settings } = serving;
  const wantsUsage = (call.body['stream_options'] as { include_usage?: boolean } | undefined)?.include_usage === true;
  const lines = fault === 'crlf' ? '\r\n' : '\n';
  const frame = (data: string): string =>
    fault === 'crlf' ? `: note${lines}event: message${lines}data: ${data}${lines}${lines}` : `data: ${data}\n\n`;
  response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' });
  if (fault === 'error_event_first') return void response.end(frame(ERROR_EVENT));
  response.write(frame(chunk({ role: 'assistant', content: '' })));
  if (fault === 'error_after_role') return void response.end(frame(ERROR_EVENT));
  const tokens = breaksMidStream(fault) ? settings.tokens.slice(0, settings.afterTokens) : settings.tokens;
  if (fault !== 'content_filter') await sendTokens(serving, tokens, frame);
  if (breaksMidStream(fault)) return breakStream(response, fault, frame);
  response.write(frame(chunk({}, fault === 'content_filter' ? 'content_filter' : 'stop')));
  if (wantsUsage) response.write(frame(JSON.stringify({ choices: [], usage: usage(tokens.length) })));
  if (fault === 'hang_after_finish') return;
  if (fault !== 'no_done') response.write(frame('[DONE]'));
  response.end();
}

/** No faster than the client takes them, and no further once it has left. */
async function sendTokens(
  { response, fault, settings, sent }: Serving,
  tokens: readonly string[],
  frame: (data: string) => string,
): Promise<void> {
  const frames = tokens.map((content) => frame(chunk({ content })));
  if (fault === 'split_utf8') return sendByteByByte(response, Buffer.from(frames.join('')));
  const total = settings.totalTokens === 0 || breaksMidStream(fault) ? frames.length : settings.totalTokens;
  const delayMs = fault === 'slow_stream' ? SLOW_TOKEN_MS : settings.tokenDelayMs;
  const atOnce = delayMs > 0 ? 1 : TOKENS_A_PACKET;
  for (let said = 0; said < total && !response.destroyed; said += atOnce) {
    const count = Math.min(atOnce, total - said);
    const packet = Array.from({ length: count }, (_, position) => frames[(said + position) % frames.length]);
    const taken = response.write(packet.join(''));
    sent.tokens += count;
    if (delayMs > 0) await new Promise((resolve) => setTimeout(resolve, delayMs));
    else if (!taken) await drained(response);
  }
}

async function sendByteByByte(response: ServerResponse, bytes: Buffer): Promise<void> {
  for (const byte of bytes) {
    response.write(Buffer.from([byte]));
    await new Promise(setImmediate);
  }
}

function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      response.off('drain', done).off('close', done);
      resolve();
    };
    response.on('drain', done).on('close', done);
  });
}

function breaksMidStream(fault: StandinFault): boolean {
  return ['hang_mid_stream', 'reset_mid_stream', 'truncated', 'error_event', 'malformed_line'].includes(fault);
}

/** What was said so far has reached the client before the connection is reset: a reset throws away what is unread. */
function breakStream(response: ServerResponse, fault: StandinFault, frame: (data: string) => string): void {
  if (fault === 'reset_mid_stream') setTimeout(() => cut(response), 20);
  else if (fault === 'truncated') response.end('data: {"choices":[{"delta":{"conte');
  else if (fault === 'malformed_line') response.end(`${frame('{"choices":[{')}${frame(chunk({}, 'stop'))}`);
  else if (fault === 'error_event') response.end(frame(ERROR_EVENT));
}

/** Closes the connection in order, with less said than was promised. */
function endEarly(response: ServerResponse): void {
  cutByUs.add(response);
  response.socket?.end();
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
