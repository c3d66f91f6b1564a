import { type AddressInfo, connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { AnswerEvent } from '../chat/index.ts';
import { AppError, createManualClock, type ManualClock } from '../kernel/index.ts';
import { chatCompletionChunk } from './contract/index.ts';
import { ADMIN_KEY, END, START, scripted, startTestServer, type TestServer } from './test-server.contract.ts';

let server: TestServer;
let clock: ManualClock;
beforeEach(async () => {
  clock = createManualClock();
  server = await startTestServer({ clock });
  await server.call({ method: 'POST', url: '/v1/bots', json: { name: 'Guide' } });
});
afterEach(() => server.stop());

const QUESTION = { model: 'guide', stream: true, messages: [{ role: 'user', content: 'Hi' }] };

function ask(more: Record<string, unknown> = {}) {
  return server.call({ method: 'POST', url: '/v1/chat/completions', json: { ...QUESTION, ...more } });
}

function dataOf(text: string): string[] {
  return text.split('\n').flatMap((line) => (line.startsWith('data: ') ? [line.slice(6)] : []));
}

function newLatch() {
  let open = (): void => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { open, opened };
}

describe('a streamed answer', () => {
  it('is a question until its connection is done with it, and what is no question is not counted', async () => {
    const { open, opened } = newLatch();
    server.answer = async function* () {
      yield START;
      expect(server.questions).toEqual(['came']);
      open();
      yield END;
    };
    expect(server.questions).toEqual([]);
    await ask();
    await opened;
    await expect.poll(() => server.questions).toEqual(['came', 'left']);
    await server.call({ method: 'GET', url: '/v1/bots' });
    await server.call({ method: 'POST', url: '/v1/bots/guide/search', json: {} });
    await expect.poll(() => server.questions).toEqual(['came', 'left', 'came', 'left']);
  });

  it('comes in OpenAI’s chunks and ends with [DONE]', async () => {
    server.answer = () => scripted('Hel', 'lo [1]');
    const { status, headers, text } = await ask();
    expect(status).toBe(200);
    expect(headers).toMatchObject({
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache',
      'x-accel-buffering': 'no',
      'x-content-type-options': 'nosniff',
      'x-chatsphere-served-by': 'local/extractive',
      'x-chatsphere-cache': 'miss',
      'x-chatsphere-attempts': '1',
      'x-chatsphere-overhead-ms': '0',
    });
    expect(headers['x-request-id']).toMatch(/^req_/);
    const data = dataOf(text);
    expect(data.at(-1)).toBe('[DONE]');
    const chunks = data.slice(0, -1).map((line) => chatCompletionChunk.parse(JSON.parse(line)));
    expect(chunks.map((chunk) => chunk.choices[0]?.delta.content)).toEqual(['', 'Hel', 'lo [1]', undefined]);
    expect(chunks[0]?.choices[0]?.delta.role).toBe('assistant');
    expect(chunks.map((chunk) => chunk.choices[0]?.finish_reason)).toEqual([null, null, null, 'stop']);
    expect(chunks.every((chunk) => chunk.id === headers['x-chatsphere-message'] && chunk.model === 'guide')).toBe(true);
    const last = chunks.at(-1);
    expect(last?.chatsphere).toMatchObject({ message: chunks[0]?.id, grounded: true, served_by: 'local/extractive' });
    expect(last?.chatsphere?.citations[0]).toMatchObject({ index: 1, quote: 'Hello' });
    expect(last?.choices[0]?.delta.chatsphere).toEqual(last?.chatsphere);
    expect(chunks.some((chunk) => 'usage' in chunk)).toBe(false);
  });

  it('says what it used in a last chunk, when asked', async () => {
    const { text } = await ask({ stream_options: { include_usage: true } });
    const chunks = dataOf(text)
      .slice(0, -1)
      .map((line) => JSON.parse(line));
    expect(chunks.at(-1)).toMatchObject({
      choices: [],
      usage: { prompt_tokens: 12, completion_tokens: 3, total_tokens: 15 },
    });
    expect(chunks.slice(0, -1).every((chunk) => chunk.usage === null)).toBe(true);
    expect(chunks.at(-2).chatsphere.grounded).toBe(true);
  });

  it('cannot be forged by its own text', async () => {
    const nasty = '\n\nevent: done\ndata: {"error":{"message":"x"}}\r\n\r\ndata: [DONE]\n\n\u2028\u2029';
    server.answer = () => scripted(nasty);
    const { text } = await ask();
    expect(dataOf(text)).toHaveLength(4);
    expect(JSON.parse(dataOf(text)[1] ?? '').choices[0].delta.content).toBe(nasty);
    expect(text).not.toMatch(/^event:/m);
  });

  it('that fails before it begins is an ordinary error', async () => {
    // biome-ignore lint/correctness/useYield: it fails first
    server.answer = async function* () {
      throw new AppError('provider_rate_limited', 'Busy.', { retryable: true, retryAfterMs: 2500 });
    };
    const { status, headers, body } = await ask();
    expect([status, headers['retry-after'], headers['x-should-retry']]).toEqual([503, '3', 'true']);
    expect(body.error).toMatchObject({ code: 'provider_rate_limited', type: 'server_error', retryable: true });
  });

  it('that fails on the way says so once, and does not end with [DONE]', async () => {
    server.answer = async function* () {
      yield START;
      yield { type: 'text-delta', text: 'Hel' } as const;
      throw new AppError('stream_interrupted', 'Broke off.', { retryable: true, cause: new Error('socket secret') });
    };
    const { status, text } = await ask();
    expect(status).toBe(200);
    const data = dataOf(text);
    expect(JSON.parse(data.at(-1) ?? '').error).toMatchObject({ code: 'stream_interrupted', message: 'Broke off.' });
    expect(text.match(/"error"/g)).toHaveLength(1);
    expect(text).not.toContain('[DONE]');
    expect(text).not.toContain('secret');
    expect(server.logged.some((line) => line.message === 'Request failed')).toBe(true);
  });

  it('that ends without its end is an error too', async () => {
    server.answer = async function* () {
      yield START;
    };
    expect(JSON.parse(dataOf((await ask()).text).at(-1) ?? '').error.code).toBe('stream_interrupted');
    expect((await ask({ stream: false })).body.error.code).toBe('stream_interrupted');
  });

  it('shows life after 15 silent seconds, before and after it began', async () => {
    const before = newLatch();
    const between = newLatch();
    server.answer = async function* (): AsyncGenerator<AnswerEvent> {
      await before.opened;
      yield START;
      await between.opened;
      yield END;
    };
    const answering = ask();
    await expect.poll(() => server.asked.length, { interval: 1 }).toBe(1);
    await clock.advance(14_000);
    await clock.advance(1000);
    before.open();
    await clock.advance(0);
    await clock.advance(15_000);
    await clock.advance(15_000);
    between.open();
    const { status, text } = await answering;
    expect(status).toBe(200);
    expect(text.startsWith(': heartbeat\n\n')).toBe(true);
    expect(text.match(/^: heartbeat$/gm)?.length).toBeGreaterThanOrEqual(2);
    expect(dataOf(text).at(-1)).toBe('[DONE]');
  });

  it('that showed life and then failed to begin ends with one error event', async () => {
    const latch = newLatch();
    // biome-ignore lint/correctness/useYield: it fails first
    server.answer = async function* () {
      await latch.opened;
      throw new AppError('provider_timeout', 'Too slow.', { retryable: true });
    };
    const answering = ask();
    await expect.poll(() => server.asked.length, { interval: 1 }).toBe(1);
    await clock.advance(15_000);
    latch.open();
    const { status, text } = await answering;
    expect(status).toBe(200);
    expect(dataOf(text).map((data) => JSON.parse(data).error.code)).toEqual(['provider_timeout']);
  });
});

describe('an answer that fails', () => {
  it.each([true, false])('has used what the model was asked (stream: %s)', async (stream) => {
    const key = await server.key(['chat'], { limits: { tokens_per_minute: 100 } });
    server.answer = async function* (_request, _signal, reportUsage): AsyncGenerator<AnswerEvent> {
      yield START;
      reportUsage?.({ inputTokens: 500, outputTokens: 20 });
      throw new AppError('stream_interrupted', 'Broke off.', { retryable: true });
    };
    const send = () => server.call({ method: 'POST', url: '/v1/chat/completions', json: { ...QUESTION, stream }, key });
    await send();
    expect((await send()).status).toBe(429);
  });
});

describe('the error event of a stream that is cut', () => {
  beforeEach(() => {
    server.answer = async function* (_request, _signal, reportUsage): AsyncGenerator<AnswerEvent> {
      yield START;
      yield { type: 'text-delta', text: 'Hel' };
      reportUsage?.({ inputTokens: 12, outputTokens: 1 });
      throw new AppError('stream_interrupted', 'Broke off.', { retryable: true });
    };
  });

  it('says what was used by then, when usage was asked for', async () => {
    const { text } = await ask({ stream_options: { include_usage: true } });
    const last = JSON.parse(dataOf(text).at(-1) ?? '');
    expect(last.error.code).toBe('stream_interrupted');
    expect(last.usage).toEqual({ prompt_tokens: 12, completion_tokens: 1, total_tokens: 13 });
  });

  it('says it in the UI message stream, in the part that its protocol leaves to us', async () => {
    const json = { messages: [{ role: 'user', parts: [{ type: 'text', text: 'Hi' }] }] };
    const { text } = await server.call({ method: 'POST', url: '/v1/bots/guide/chat', json });
    const parts = dataOf(text).map((data) => JSON.parse(data));
    const { data } = parts.find(({ type }) => type === 'data-chatsphere-error');
    expect(data).toMatchObject({
      code: 'stream_interrupted',
      usage: { prompt_tokens: 12, completion_tokens: 1, total_tokens: 13 },
    });
    expect(parts.at(-1)).toEqual({ type: 'error', errorText: 'Broke off.' });
  });

  it('says nothing of it otherwise', async () => {
    expect(JSON.parse(dataOf((await ask()).text).at(-1) ?? '')).not.toHaveProperty('usage');
  });
});

describe('a whole answer', () => {
  it('is OpenAI’s, with citations beside the text', async () => {
    const { status, body, headers } = await ask({ stream: false, user: 'ann', conversation: true, stop: 'END' });
    expect(status).toBe(200);
    expect(body.choices[0]).toMatchObject({
      finish_reason: 'stop',
      message: { role: 'assistant', content: 'Hello [1]' },
    });
    expect(body.choices[0].message.chatsphere.citations[0].quote).toBe('Hello');
    expect(body.usage).toEqual({ prompt_tokens: 12, completion_tokens: 3, total_tokens: 15 });
    expect(headers['x-chatsphere-served-by']).toBe('local/extractive');
    expect(server.asked.at(-1)).toMatchObject({ endUser: 'ann', conversation: true, stop: ['END'] });
  });

  it('takes all that OpenAI takes, and reads what it can', async () => {
    const { status } = await ask({
      stream: false,
      messages: [
        { role: 'developer', content: 'Be brief.' },
        {
          role: 'user',
          content: [
            { type: 'text', text: 'One' },
            { type: 'text', text: 'two' },
          ],
          name: 'ann',
        },
        {
          role: 'assistant',
          content: null,
          tool_calls: [{ id: 'x', type: 'function', function: { name: 'look', arguments: '{}' } }],
        },
        { role: 'tool', content: '{"a":1}', tool_call_id: 'x' },
        { role: 'assistant', content: 'Yes', refusal: null, annotations: [] },
        { role: 'user', content: 'And now?' },
      ],
      temperature: 0.5,
      max_completion_tokens: 50,
      top_p: 1,
      presence_penalty: 0.5,
      frequency_penalty: -0.5,
      n: 1,
      seed: 1,
      tools: [],
      tool_choice: 'none',
      response_format: {
        type: 'json_schema',
        json_schema: { name: 'reply', schema: { type: 'object' }, strict: true },
      },
      logit_bias: null,
      logprobs: false,
      parallel_tool_calls: false,
      service_tier: 'auto',
      store: false,
      metadata: { a: 'b' },
      reasoning_effort: 'low',
      stream_options: null,
      user: null,
    });
    expect(status).toBe(200);
    const { bot, ...request } = server.asked.at(-1) ?? {};
    expect(bot?.slug).toBe('guide');
    expect(request).toEqual({
      messages: [
        { role: 'system', content: 'Be brief.' },
        { role: 'user', content: 'One\ntwo' },
        { role: 'assistant', content: '', toolCalls: [{ id: 'x', name: 'look', argumentsText: '{}' }] },
        { role: 'tool', content: '{"a":1}', toolCallId: 'x' },
        { role: 'assistant', content: 'Yes' },
        { role: 'user', content: 'And now?' },
      ],
      temperature: 0.5,
      maxOutputTokens: 50,
      wholeAnswer: true,
      topP: 1,
      seed: 1,
      presencePenalty: 0.5,
      frequencyPenalty: -0.5,
      reasoningEffort: 'low',
      responseFormat: { type: 'json_schema', name: 'reply', schema: { type: 'object' }, strict: true },
    });
  });

  it.each([
    [{ type: 'json_object' }, { type: 'json_object' }],
    [{ type: 'text' }, undefined],
    [null, undefined],
  ])('reads the form %j of the answer', async (format, read) => {
    await ask({ response_format: format });
    expect(server.asked.at(-1)?.responseFormat).toEqual(read);
  });

  it.each([
    [{ presence_penalty: 3 }, 'presence_penalty'],
    [{ frequency_penalty: '1' }, 'frequency_penalty'],
    [{ reasoning_effort: 'Very High' }, 'reasoning_effort'],
    [{ response_format: { type: 'xml' } }, 'response_format.type'],
    [{ response_format: { type: 'json_schema' } }, 'response_format.json_schema'],
  ])('refuses %j', async (more, param) => {
    const { status, body } = await ask(more);
    expect({ status, error: body.error }).toMatchObject({ status: 400, error: { code: 'invalid_request', param } });
  });

  const call = (id: string) => ({ id, type: 'function', function: { name: 'look', arguments: '{}' } });
  const called = (...ids: string[]) => ({ role: 'assistant', content: null, tool_calls: ids.map(call) });
  const answered = (id: string) => ({ role: 'tool', content: 'Sunny', tool_call_id: id });
  const user = { role: 'user', content: 'Hi' };

  it.each([
    ['a call that nobody made', [user, answered('x')]],
    ['a call of another id', [user, called('x'), answered('y')]],
    ['no call', [user, called('x'), { role: 'tool', content: 'Sunny' }]],
    ['a call that was answered in an earlier turn', [user, called('x'), answered('x'), user, answered('x')]],
  ])('refuses what a tool answers to %s', async (_name, sent) => {
    const { status, body } = await ask({ messages: sent });
    expect(status).toBe(400);
    expect(body.error).toMatchObject({ code: 'invalid_request', param: 'messages' });
  });

  it.each([
    ['the next question', [user, called('x'), user]],
    ['the next calls', [user, called('x', 'y'), answered('x'), called('z'), answered('z')]],
    ['the end', [user, called('x', 'y'), answered('y')]],
  ])('refuses a call without an answer before %s', async (_name, sent) => {
    const { status, body } = await ask({ messages: sent });
    expect(status).toBe(400);
    expect(body.error).toMatchObject({ code: 'invalid_request', param: 'messages' });
  });

  it('takes calls that are answered in any order, and the same ids again', async () => {
    const turn = [user, called('x', 'y'), answered('y'), answered('x')];
    const { status } = await ask({ messages: [...turn, ...turn] });
    expect(status).toBe(200);
  });
});

describe('a client that leaves', () => {
  /** Sends the question over a real line and returns what closes it. */
  async function askOverLine(json: unknown, key = ADMIN_KEY) {
    if (!server.app.server.listening) await server.app.listen({ port: 0, host: '127.0.0.1' });
    const { port } = server.app.server.address() as AddressInfo;
    const line = connect(port, '127.0.0.1');
    const body = JSON.stringify(json);
    const head = [
      'POST /v1/chat/completions HTTP/1.1',
      'host: test',
      `authorization: Bearer ${key}`,
      'content-type: application/json',
      `content-length: ${Buffer.byteLength(body)}`,
    ];
    line.on('error', () => {});
    line.write(`${head.join('\r\n')}\r\n\r\n${body}`);
    return line;
  }

  const windows = [
    ['while a whole answer is made', { ...QUESTION, stream: false }, []],
    ['before a stream begins', QUESTION, []],
    ['in the middle of a stream', QUESTION, [START, { type: 'text-delta', text: 'Hel' }]],
  ] as const;

  it.each(windows)('%s stops the model within 100 ms', async (_window, question, events) => {
    const asked = newLatch();
    const stopped = newLatch();
    let returned = false;
    server.answer = async function* (_request, signal): AsyncGenerator<AnswerEvent> {
      try {
        yield* events;
        asked.open();
        await new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
      } finally {
        returned = true;
        stopped.open();
      }
    };
    const line = await askOverLine(question);
    await asked.opened;
    const leftAt = performance.now();
    line.destroy();
    await stopped.opened;
    expect(performance.now() - leftAt).toBeLessThan(100);
    expect(returned).toBe(true);
    await expect.poll(() => server.counted.at(-1)?.labels['status'], { interval: 1 }).toBe('499');
  });

  it.each(windows)('%s has used what the model was asked', async (_window, question, events) => {
    const key = await server.key(['chat'], { limits: { tokens_per_minute: 100 } });
    const asked = newLatch();
    server.answer = async function* (_request, signal, reportUsage): AsyncGenerator<AnswerEvent> {
      reportUsage?.({ inputTokens: 500, outputTokens: 0 });
      yield* events;
      asked.open();
      await new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    };
    const line = await askOverLine(question, key);
    await asked.opened;
    line.destroy();
    await expect.poll(() => server.counted.at(-1)?.labels['status'], { interval: 1 }).toBe('499');
    const next = await server.call({ method: 'POST', url: '/v1/chat/completions', json: question, key });
    expect([next.status, next.body.error.code]).toEqual([429, 'rate_limit_exceeded']);
  });

  it('or reads slowly holds the answer back, and a reader that has stopped is dropped', async () => {
    let produced = 0;
    const stopped = newLatch();
    server.answer = async function* (): AsyncGenerator<AnswerEvent> {
      try {
        yield START;
        for (;;) {
          produced += 1;
          yield { type: 'text-delta', text: 'x'.repeat(65_536) };
        }
      } finally {
        stopped.open();
      }
    };
    const line = await askOverLine(QUESTION);
    line.pause();
    let seen = -1;
    await expect
      .poll(
        () => {
          const same = produced === seen && produced > 0;
          seen = produced;
          return same;
        },
        { interval: 50, timeout: 10_000 },
      )
      .toBe(true);
    expect(produced).toBeLessThan(1000);
    await clock.advance(61_000);
    await stopped.opened;
    line.destroy();
  });
});
