import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ChatModelEvent, ChatModelRequest, ProviderHttp, ToolCallDelta } from '../../llm/index.ts';
import { createProviderHttp } from '../provider-http/index.ts';
import { createOpenAiChatModel, type OpenAiChatModelOptions } from './chat-model.ts';

interface Call {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Readonly<Record<string, unknown>>;
}

const request: ChatModelRequest = { messages: [{ role: 'user', content: 'Hello?' }], grounding: null };
const END = {
  choices: [{ index: 0, delta: {}, finish_reason: 'stop' }],
  usage: { prompt_tokens: 1, completion_tokens: 1 },
};

let server: Server;
let http: ProviderHttp;
let calls: Call[];
let answer: (response: ServerResponse, call: Call) => void;

beforeEach(async () => {
  calls = [];
  answer = (response) => sendChunks(response, [saying('Hi'), END]);
  http = createProviderHttp();
  server = createServer(async (incoming, response) => {
    const pieces: Buffer[] = [];
    for await (const piece of incoming) pieces.push(piece);
    const body = JSON.parse(Buffer.concat(pieces).toString());
    const call = { path: incoming.url ?? '', headers: incoming.headers, body };
    calls.push(call);
    answer(response, call);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterEach(async () => {
  await http.stop();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

function saying(content: string) {
  return { choices: [{ index: 0, delta: { content } }] };
}

function calling(...toolCalls: readonly unknown[]) {
  return { choices: [{ index: 0, delta: { tool_calls: toolCalls } }] };
}

function sendChunks(response: ServerResponse, chunks: readonly unknown[]): void {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  response.end([...chunks.map((chunk) => JSON.stringify(chunk)), '[DONE]'].map((data) => `data: ${data}\n\n`).join(''));
}

function refuse(response: ServerResponse, error: unknown): void {
  response.writeHead(400, { 'content-type': 'application/json' }).end(JSON.stringify({ error }));
}

function modelOf(changes: Partial<OpenAiChatModelOptions> = {}) {
  const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return createOpenAiChatModel({ http, baseUrl, apiKey: 'sk-secret', model: 'gpt-test', ...changes });
}

async function read(events: AsyncIterable<ChatModelEvent>): Promise<ChatModelEvent[]> {
  const all: ChatModelEvent[] = [];
  for await (const event of events) all.push(event);
  return all;
}

function textOf(events: readonly ChatModelEvent[]): string {
  return events.map((event) => (event.type === 'text-delta' ? event.text : '')).join('');
}

/** The calls of tools as a client puts them together. */
function callsOf(events: readonly ChatModelEvent[]) {
  const found: { id: string | undefined; name: string | undefined; argumentsText: string }[] = [];
  for (const piece of events.filter((event): event is ToolCallDelta => event.type === 'tool-call-delta')) {
    const known = found[piece.index];
    if (known !== undefined) known.argumentsText += piece.argumentsText;
    else found[piece.index] = { id: piece.id, name: piece.name, argumentsText: piece.argumentsText };
  }
  return found;
}

describe('Azure', () => {
  it('is asked at the address of the deployment, with its version and its own header for the key', async () => {
    const azure = modelOf({ provider: 'azure', model: 'my gpt', azureApiVersion: '2024-10-21' });
    expect(textOf(await read(azure.doStream(request, {})))).toBe('Hi');
    expect(calls[0]?.path).toBe('/openai/deployments/my%20gpt/chat/completions?api-version=2024-10-21');
    expect(calls[0]?.headers).toMatchObject({ 'api-key': 'sk-secret' });
    expect(calls[0]?.headers.authorization).toBeUndefined();
  });
});

describe('a server that refuses what it does not know', () => {
  const isStrict = (named: string, error: unknown) => (response: ServerResponse, call: Call) =>
    call.body[named] === undefined ? sendChunks(response, [saying('Hi'), END]) : refuse(response, error);

  it('is asked again without stream_options, once, and from then on', async () => {
    answer = isStrict('stream_options', { message: 'Unknown field: stream_options' });
    const model = modelOf();
    for (let time = 0; time < 2; time += 1) expect(textOf(await read(model.doStream(request, {})))).toBe('Hi');
    expect(calls.map(({ body }) => 'stream_options' in body)).toEqual([true, false, false]);
  });

  it('is told the limit of tokens under its new name', async () => {
    const message = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.";
    answer = isStrict('max_tokens', { code: 'unsupported_parameter', message });
    const model = modelOf();
    for (let time = 0; time < 2; time += 1) await read(model.doStream({ ...request, maxOutputTokens: 9 }, {}));
    expect(calls.map(({ body }) => body['max_completion_tokens'])).toEqual([undefined, 9, 9]);
  });

  it('is not asked a third time', async () => {
    answer = (response) => refuse(response, { message: 'Unknown field: stream_options' });
    await expect(read(modelOf().doStream(request, {}))).rejects.toMatchObject({ code: 'provider_rejected_request' });
    expect(calls).toHaveLength(2);
  });
});

describe('calls of tools', () => {
  const one = { id: 'call_1', name: 'weather', argumentsText: '{"city":"Rome"}' };
  const two = { id: 'call_2', name: 'time', argumentsText: '{"zone":"CET"}' };
  const begins = (call: typeof one, more: object) => ({
    ...{ id: call.id, type: 'function', function: { name: call.name, arguments: '' } },
    ...more,
  });
  const goesOn = (text: string, more: object = {}) => ({ function: { arguments: text }, ...more });

  it.each<[string, readonly unknown[]]>([
    [
      'in pieces that alternate',
      [
        calling(begins(one, { index: 0 })),
        calling(goesOn('{"city":', { index: 0 })),
        calling(begins(two, { index: 1 }), goesOn('"Rome"}', { index: 0 })),
        calling(goesOn('{"zone":"CET"}', { index: 1 })),
      ],
    ],
    [
      'without indexes, each begun by its id',
      [
        calling(begins(one, {})),
        calling(goesOn('{"city":')),
        calling(goesOn('"Rome"}')),
        calling(begins(two, {})),
        calling(goesOn('{"zone":"CET"}')),
      ],
    ],
    [
      'whole, both at once, with indexes that begin at 1',
      [
        calling(
          begins(one, { index: 1, function: { name: one.name, arguments: one.argumentsText } }),
          begins(two, { index: 2, function: { name: two.name, arguments: two.argumentsText } }),
        ),
      ],
    ],
    [
      'with id and name in every piece',
      [
        calling(begins(one, { index: 0 })),
        calling(begins(one, { index: 0, function: { name: one.name, arguments: one.argumentsText } })),
        calling(begins(two, { index: 1, function: { name: two.name, arguments: two.argumentsText } })),
      ],
    ],
    [
      'with arguments that are no text but an object',
      [
        calling(begins(one, { index: 0, function: { name: one.name, arguments: { city: 'Rome' } } })),
        calling(begins(two, { index: 1, function: { name: two.name, arguments: { zone: 'CET' } } })),
      ],
    ],
  ])('are read %s', async (_name, chunks) => {
    answer = (response) => sendChunks(response, [...chunks, END]);
    const events = await read(modelOf().doStream(request, {}));
    expect(callsOf(events)).toEqual([one, two]);
    // The server says "stop"; a client that waits for the calls must not.
    expect(events.at(-1)).toMatchObject({ type: 'end', finishReason: 'tool_calls' });
  });

  it('get an id of their own where the server gives none', async () => {
    answer = (response) =>
      sendChunks(response, [calling({ index: 0, function: { name: 'time', arguments: '{}' } }), END]);
    const [call] = callsOf(await read(modelOf().doStream(request, {})));
    expect(call).toEqual({ id: expect.stringMatching(/^call_\w{8,}$/), name: 'time', argumentsText: '{}' });
  });

  it('are read from an answer in one piece', async () => {
    const made = [one, two].map((call) =>
      begins(call, { function: { name: call.name, arguments: call.argumentsText } }),
    );
    const message = { role: 'assistant', content: null, tool_calls: made };
    answer = (response) =>
      response
        .writeHead(200, { 'content-type': 'application/json' })
        .end(JSON.stringify({ choices: [{ index: 0, message, finish_reason: 'tool_calls' }] }));
    expect(callsOf(await read(modelOf().doStream(request, {})))).toEqual([one, two]);
  });

  it('are offered and answered as OpenAI wants it', async () => {
    await read(
      modelOf().doStream(
        {
          ...request,
          messages: [
            ...request.messages,
            { role: 'assistant', content: '', toolCalls: [one] },
            { role: 'tool', content: 'Sunny', toolCallId: 'call_1' },
          ],
          tools: [{ name: 'weather', parameters: { type: 'object' }, strict: true }],
          toolChoice: { name: 'weather' },
          parallelToolCalls: false,
          presencePenalty: 1,
          frequencyPenalty: -1,
          reasoningEffort: 'low',
          responseFormat: { type: 'json_schema', name: 'reply', schema: { type: 'object' } },
        },
        {},
      ),
    );
    expect(calls[0]?.body).toMatchObject({
      messages: [
        { role: 'user' },
        {
          role: 'assistant',
          content: null,
          tool_calls: [{ id: 'call_1', type: 'function', function: { name: 'weather', arguments: one.argumentsText } }],
        },
        { role: 'tool', content: 'Sunny', tool_call_id: 'call_1' },
      ],
      tools: [{ type: 'function', function: { name: 'weather', parameters: { type: 'object' }, strict: true } }],
      tool_choice: { type: 'function', function: { name: 'weather' } },
      parallel_tool_calls: false,
      presence_penalty: 1,
      frequency_penalty: -1,
      reasoning_effort: 'low',
      response_format: { type: 'json_schema', json_schema: { name: 'reply', schema: { type: 'object' } } },
    });
  });
});

describe('an answer in one JSON body', () => {
  const whole = JSON.stringify({ choices: [{ index: 0, message: { content: 'Hi' }, finish_reason: 'stop' }] });

  it.each([
    ['shorter than its content-length says', whole.length + 50, whole.slice(0, 20)],
    ['longer than its content-length says', 20, whole],
  ])('is refused when it is %s', async (_name, length, sent) => {
    answer = (response) => {
      response.socket?.end(
        `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${length}\r\nconnection: close\r\n\r\n${sent}`,
      );
    };
    const reading = read(modelOf().doStream(request, {}));
    await expect(reading).rejects.toMatchObject({ code: expect.stringMatching(/^(stream_interrupted|provider_)/) });
    await expect(reading).rejects.toMatchObject({ retryable: true });
  });
});
