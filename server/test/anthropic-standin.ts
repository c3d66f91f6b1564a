import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

/** How the stand-in misbehaves. The streaming ones come after two tokens. */
export type AnthropicFault =
  | 'none'
  | 'overloaded'
  | 'rate_limit'
  | 'unauthorized'
  | 'no_credit'
  | 'too_long'
  | 'hang_before_byte'
  | 'ignores_stream'
  | 'hang_mid_stream'
  | 'overloaded_event'
  | 'cut_off';

export interface AnthropicStandin {
  /** Base URL without `/v1`. */
  readonly url: string;
  readonly settings: {
    tokens: readonly string[];
    fault: AnthropicFault;
    stopReason: string;
    /** A call of a tool after the text. */
    toolUse: { readonly id: string; readonly name: string; readonly pieces: readonly string[] } | null;
  };
  readonly requests: {
    readonly headers: IncomingMessage['headers'];
    readonly path: string;
    readonly body: Readonly<Record<string, unknown>>;
  }[];
  /** Resolves when a client has left a call that was not answered to its end. */
  untilAbort(): Promise<void>;
  stop(): Promise<void>;
}

const REFUSALS: Partial<Record<AnthropicFault, readonly [status: number, type: string, message: string]>> = {
  overloaded: [529, 'overloaded_error', 'Overloaded'],
  rate_limit: [429, 'rate_limit_error', 'This request would exceed your rate limit.'],
  unauthorized: [401, 'authentication_error', 'invalid x-api-key'],
  no_credit: [400, 'invalid_request_error', 'Your credit balance is too low to access the Anthropic API.'],
  too_long: [400, 'invalid_request_error', 'prompt is too long: 210000 tokens > 200000 maximum'],
};

const USAGE = { input_tokens: 7, cache_creation_input_tokens: 2, cache_read_input_tokens: 5, output_tokens: 1 };

/** A server on a free local port that speaks the wire format of Anthropic's messages API, and misbehaves as told. */
export async function startAnthropicStandin(): Promise<AnthropicStandin> {
  const settings: AnthropicStandin['settings'] = {
    tokens: ['Hello', ' there'],
    fault: 'none',
    stopReason: 'end_turn',
    toolUse: null,
  };
  const requests: AnthropicStandin['requests'] = [];
  const sockets = new Set<Socket>();
  let onAbort = (): void => {};
  const aborted = new Promise<void>((resolve) => {
    onAbort = resolve;
  });
  const server = createServer(async (request, response) => {
    response.on('close', () => {
      if (!response.writableFinished) onAbort();
    });
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = JSON.parse(Buffer.concat(chunks).toString());
    requests.push({ headers: request.headers, path: request.url ?? '', body });
    await answer(response, body.stream === true, settings);
  });
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    settings,
    requests,
    untilAbort: () => aborted,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

async function answer(
  response: ServerResponse,
  isStreamed: boolean,
  settings: AnthropicStandin['settings'],
): Promise<void> {
  const { fault } = settings;
  const refusal = REFUSALS[fault];
  if (fault === 'hang_before_byte') return;
  if (refusal !== undefined) {
    const [status, type, message] = refusal;
    response.writeHead(status, { 'content-type': 'application/json', 'retry-after': '2' });
    response.end(JSON.stringify({ type: 'error', error: { type, message }, request_id: 'req_x' }));
  } else if (isStreamed && fault !== 'ignores_stream') await stream(response, settings);
  else whole(response, settings);
}

function whole(response: ServerResponse, { tokens, stopReason, toolUse }: AnthropicStandin['settings']): void {
  const call =
    toolUse === null
      ? []
      : [{ type: 'tool_use', id: toolUse.id, name: toolUse.name, input: JSON.parse(toolUse.pieces.join('')) }];
  response.writeHead(200, { 'content-type': 'application/json' }).end(
    JSON.stringify({
      id: 'msg_x',
      type: 'message',
      role: 'assistant',
      content: [{ type: 'text', text: tokens.join('') }, ...call],
      stop_reason: stopReason,
      stop_sequence: null,
      usage: { ...USAGE, output_tokens: tokens.length },
    }),
  );
}

async function stream(
  response: ServerResponse,
  { fault, tokens, stopReason, toolUse }: AnthropicStandin['settings'],
): Promise<void> {
  const send = (data: Readonly<Record<string, unknown>>): Promise<void> =>
    new Promise((resolve) =>
      response.write(`event: ${data['type']}\ndata: ${JSON.stringify(data)}\n\n`, () => resolve()),
    );
  response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' });
  await send({
    type: 'message_start',
    message: { id: 'msg_x', type: 'message', role: 'assistant', content: [], stop_reason: null, usage: USAGE },
  });
  await send({ type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } });
  await send({ type: 'ping' });
  for (const [position, text] of tokens.entries()) {
    if (position === 2 && fault !== 'none') break;
    await send({ type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text } });
  }
  if (fault === 'hang_mid_stream') return;
  if (fault === 'cut_off') {
    response.end('event: content_block_delta\ndata: {"type":"content_bl');
    return;
  }
  if (fault === 'overloaded_event') {
    await send({ type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } });
    response.end();
    return;
  }
  await send({ type: 'content_block_stop', index: 0 });
  if (toolUse !== null) {
    const { id, name, pieces } = toolUse;
    await send({ type: 'content_block_start', index: 1, content_block: { type: 'tool_use', id, name, input: {} } });
    for (const piece of pieces) {
      await send({ type: 'content_block_delta', index: 1, delta: { type: 'input_json_delta', partial_json: piece } });
    }
    await send({ type: 'content_block_stop', index: 1 });
  }
  await send({
    type: 'message_delta',
    delta: { stop_reason: stopReason, stop_sequence: null },
    usage: { output_tokens: tokens.length },
  });
  await send({ type: 'message_stop' });
  response.end();
}
