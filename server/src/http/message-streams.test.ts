import { DefaultChatTransport, readUIMessageStream, type UIMessage } from 'ai';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { AnswerEvent } from '../chat/index.ts';
import { AppError, createManualClock, type ManualClock } from '../kernel/index.ts';
import { ADMIN_KEY, CITATION, END, START, startTestServer, type TestServer } from './test-server.contract.ts';

let server: TestServer;
let clock: ManualClock;
let base: string;
beforeEach(async () => {
  clock = createManualClock();
  server = await startTestServer({ clock });
  await server.call({ method: 'POST', url: '/v1/bots', json: { name: 'Guide' } });
  base = await server.app.listen({ port: 0, host: '127.0.0.1' });
});
afterEach(async () => {
  // After an abort, fetch opens a connection that it never uses.
  server.app.server.closeAllConnections();
  await server.stop();
});

/** An answer that says what it is told to, until it is ended. */
function heldAnswer() {
  const queue: (AnswerEvent | Error)[] = [START];
  const state = { cancelledWith: null as AppError | null };
  let wake = (): void => {};
  server.answer = async function* (_request, signal): AsyncGenerator<AnswerEvent> {
    signal.addEventListener('abort', () => {
      state.cancelledWith = signal.reason;
      wake();
    });
    for (;;) {
      while (queue.length === 0 && !signal.aborted) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      signal.throwIfAborted();
      const next = queue.shift();
      if (next instanceof Error) throw next;
      if (next !== undefined) yield next;
      if (next?.type === 'end') return;
    }
  };
  return {
    state,
    say(...events: (string | AnswerEvent | Error)[]) {
      for (const event of events) queue.push(typeof event === 'string' ? { type: 'text-delta', text: event } : event);
      wake();
    },
  };
}

interface Frame {
  readonly id: number | null;
  readonly data: string;
}

/** One reader of a stream over a real connection. */
async function open(path: string, init: RequestInit & { readonly key?: string } = {}) {
  const controller = new AbortController();
  const response = await fetch(`${base}${path}`, {
    ...init,
    signal: controller.signal,
    headers: { authorization: `Bearer ${init.key ?? ADMIN_KEY}`, 'content-type': 'application/json', ...init.headers },
  });
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  const frames: Frame[] = [];
  let rest = '';
  async function more(): Promise<boolean> {
    const { done, value } = (await reader?.read()) ?? { done: true, value: undefined };
    if (done) return false;
    const parts = (rest + value).split('\n\n');
    rest = parts.pop() ?? '';
    for (const part of parts) {
      const data = /^data: (.*)$/m.exec(part)?.[1];
      if (data !== undefined) frames.push({ id: Number(/^id: (\d+)$/m.exec(part)?.[1] ?? Number.NaN), data });
    }
    return true;
  }
  return {
    response,
    frames,
    text: () =>
      frames
        .map(({ data }) => (data === '[DONE]' ? '' : (JSON.parse(data).choices?.[0]?.delta?.content ?? '')))
        .join(''),
    async until(count: number) {
      while (frames.length < count && (await more()));
    },
    async end() {
      while (await more());
      return frames;
    },
    leave: () => controller.abort(),
  };
}

function ask(more: Record<string, unknown> = {}, key?: string) {
  const body = { model: 'guide', stream: true, messages: [{ role: 'user', content: 'Hi' }], ...more };
  return open('/v1/chat/completions', {
    method: 'POST',
    body: JSON.stringify(body),
    ...(key === undefined ? {} : { key }),
  });
}

const messageOf = ({ response }: { readonly response: Response }) => response.headers.get('x-chatsphere-message') ?? '';

describe('the stream of a message', () => {
  it('numbers its events, and gives a second viewer the same, from any number on', async () => {
    const { say } = heldAnswer();
    say('One ', 'two ');
    const first = await ask();
    await first.until(3);
    const id = messageOf(first);
    expect(id).toMatch(/^msg_/);
    expect(first.frames.map((frame) => frame.id)).toEqual([1, 2, 3]);
    const second = await open(`/v1/messages/${id}/stream?after=2`);
    const third = await open(`/v1/messages/${id}/stream`, { headers: { 'last-event-id': '1' } });
    say('three', END);
    const all = await first.end();
    expect(all.map((frame) => frame.id)).toEqual([1, 2, 3, 4, 5, 6]);
    expect(all.at(-1)?.data).toBe('[DONE]');
    expect(await second.end()).toEqual(all.slice(2));
    expect(await third.end()).toEqual(all.slice(1));
    expect(messageOf(second)).toBe(id);
    expect((await (await open(`/v1/messages/${id}/stream?after=3`)).end()).map(({ data }) => data)).toEqual(
      all.slice(3).map(({ data }) => data),
    );
    expect(await (await open(`/v1/messages/${id}/stream?after=5`)).end()).toEqual(all.slice(5));
    expect(await (await open(`/v1/messages/${id}/stream?include_usage=true&after=5`)).end()).toHaveLength(2);
    expect(server.asked).toHaveLength(1);
  });

  it('is cancelled when its last viewer leaves', async () => {
    const { say, state } = heldAnswer();
    say('One ');
    const first = await ask();
    await first.until(2);
    const second = await open(`/v1/messages/${messageOf(first)}/stream`);
    await second.until(2);
    first.leave();
    say('two');
    await second.until(3);
    expect([second.text(), state.cancelledWith]).toEqual(['One two', null]);
    second.leave();
    await expect.poll(() => state.cancelledWith?.code).toBe('request_aborted');
  });

  it('goes on without viewers when it is resumable, for a while', async () => {
    const { say, state } = heldAnswer();
    say('One ');
    const first = await ask({ resumable: true });
    await first.until(2);
    first.leave();
    await expect
      .poll(() => server.counted.filter(({ name }) => name === 'chatsphere_http_requests_total').length)
      .toBe(2);
    await clock.advance(29_000);
    say('two ');
    const back = await open(`/v1/messages/${messageOf(first)}/stream?after=2`);
    await back.until(1);
    await clock.advance(29_000);
    expect([back.text(), state.cancelledWith]).toEqual(['two ', null]);
    back.leave();
    await expect
      .poll(() => server.counted.filter(({ name }) => name === 'chatsphere_http_requests_total').length)
      .toBe(3);
    await clock.advance(30_000);
    await expect.poll(() => state.cancelledWith?.code).toBe('request_aborted');
  });

  it('breaks off for every viewer with one error, and again for who comes later, which no resuming would change', async () => {
    const { say } = heldAnswer();
    say('One ');
    const first = await ask();
    await first.until(2);
    const id = messageOf(first);
    const second = await open(`/v1/messages/${id}/stream?after=1`);
    say(new AppError('stream_interrupted', 'Broke off.', { retryable: true }));
    for (const frames of [
      await first.end(),
      await second.end(),
      await (await open(`/v1/messages/${id}/stream?after=2`)).end(),
    ]) {
      const last = frames.at(-1);
      expect(last?.id).toBe(3);
      const { error } = JSON.parse(last?.data ?? '');
      expect(error).toMatchObject({ code: 'stream_interrupted' });
      expect(error).not.toHaveProperty('resume');
      expect(frames.map(({ data }) => data).join()).not.toMatch(/\[DONE\]|"finish_reason":"/);
    }
  });

  it('is stopped for all by one, with an end that is no false stop', async () => {
    const { say, state } = heldAnswer();
    say('One ');
    const first = await ask();
    await first.until(2);
    const id = messageOf(first);
    const second = await open(`/v1/messages/${id}/stream?format=ui`);
    const stopped = await server.call({ method: 'POST', url: `/v1/messages/${id}/stop` });
    expect(stopped.body).toEqual({ id, object: 'message.stopped', stopped: true });
    expect(state.cancelledWith?.code).toBe('answer_stopped');
    const frames = await first.end();
    expect(frames.at(-1)?.data).toBe('[DONE]');
    expect(JSON.parse(frames.at(-2)?.data ?? '').choices[0].finish_reason).toBe('cancelled');
    expect((await second.end()).map(({ data }) => data).slice(-3)).toEqual([
      '{"type":"text-end","id":"text"}',
      '{"type":"abort","reason":"stopped"}',
      '[DONE]',
    ]);
    expect((await server.call({ method: 'POST', url: `/v1/messages/${id}/stop`, json: {} })).body.stopped).toBe(false);
    expect((await server.call({ method: 'POST', url: '/v1/messages/msg_none/stop' })).body.error.code).toBe(
      'message_not_found',
    );
    expect(await (await open(`/v1/messages/${id}/stream?after=2`)).end()).toEqual(frames.slice(2));
  });

  it('is gone after its time, and is nobody else’s', async () => {
    const asker = await server.key(['chat']);
    const colleague = await server.key(['chat']);
    await server.call({ method: 'POST', url: '/v1/bots', json: { name: 'Other' } });
    const otherBots = await server.key(['chat', 'bots:read'], { bots: ['other'] });
    const { body: tenant } = await server.call({ method: 'POST', url: '/v1/tenants', json: { name: 'Away' } });
    const id = messageOf(await ask({ user: 'ann' }, asker));
    const status = async (key: string, query = '', headers = {}) => {
      const answer = await server.call({ method: 'GET', url: `/v1/messages/${id}/stream${query}`, key, headers });
      return answer.status === 200 ? 200 : `${answer.status} ${answer.body.error.code}`;
    };
    const gone = '404 stream_expired';
    expect([await status(asker), await status(ADMIN_KEY), await status(colleague, '?user=ann')]).toEqual([
      200, 200, 200,
    ]);
    expect([await status(colleague), await status(colleague, '?user=bob'), await status(otherBots)]).toEqual([
      gone,
      gone,
      gone,
    ]);
    expect(await status(ADMIN_KEY, '', { 'x-chatsphere-tenant': tenant.id })).toBe(gone);
    await clock.advance(5 * 60_000 + 1);
    expect(await status(asker)).toBe(gone);
  });

  it('of a conversation is replayed from what is stored', async () => {
    const tenant = server.store.forTenant('tnt_default');
    const bot = await tenant.bots.get('guide');
    const row = { botId: bot?.id ?? '', createdAt: 1000 };
    await tenant.conversations.create({
      ...row,
      id: 'conv_1',
      endUser: null,
      title: null,
      summary: null,
      summarizedThrough: null,
      summarizedAt: null,
      metadata: {},
      updatedAt: 1000,
    });
    const message = {
      ...row,
      conversationId: 'conv_1',
      role: 'assistant' as const,
      content: 'One two',
      servedBy: 'openai/x',
    };
    const usage = { inputTokens: 5, outputTokens: 2 };
    await tenant.messages.append({
      ...message,
      id: 'msg_whole',
      status: 'complete',
      citations: [CITATION],
      grounded: true,
      stream: { pieces: [4, 3], finishReason: 'length', usage },
    });
    for (const [id, finishReason] of [
      ['msg_broken', null],
      ['msg_stopped', 'cancelled'],
    ] as const) {
      const stream = { pieces: [4, 3], finishReason, usage: null };
      await tenant.messages.append({ ...message, id, status: 'incomplete', citations: [], grounded: false, stream });
    }
    const whole = await open('/v1/messages/msg_whole/stream?after=2&include_usage=true');
    const chunks = (await whole.end()).map(({ data }) => (data === '[DONE]' ? data : JSON.parse(data)));
    expect(chunks).toHaveLength(4);
    expect(chunks[0]).toMatchObject({ id: 'msg_whole', model: 'guide', choices: [{ delta: { content: 'two' } }] });
    expect(chunks[1].choices[0].finish_reason).toBe('length');
    expect(chunks[1].chatsphere).toMatchObject({
      conversation: 'conv_1',
      grounded: true,
      citations: [{ quote: 'Hello' }],
    });
    expect(chunks[2].usage.total_tokens).toBe(7);
    expect(chunks[3]).toBe('[DONE]');
    const broken = await (await open('/v1/messages/msg_broken/stream?after=2')).end();
    expect(broken.map(({ id }) => id)).toEqual([3, 4]);
    expect(JSON.parse(broken[1]?.data ?? '').error.code).toBe('stream_interrupted');
    const stopped = await (await open('/v1/messages/msg_stopped/stream?after=3')).end();
    expect(JSON.parse(stopped[0]?.data ?? '').choices[0].finish_reason).toBe('cancelled');
  });
});

describe('a chat of useChat', () => {
  function transport(body: Record<string, unknown> = {}) {
    return new DefaultChatTransport<UIMessage>({
      api: `${base}/v1/bots/guide/chat`,
      headers: { authorization: `Bearer ${ADMIN_KEY}` },
      body,
    });
  }
  const QUESTION: UIMessage = { id: 'u1', role: 'user', parts: [{ type: 'text', text: 'Hi' }] };

  async function send(body: Record<string, unknown> = {}) {
    const stream = await transport(body).sendMessages({
      trigger: 'submit-message',
      chatId: 'chat-1',
      messageId: undefined,
      messages: [QUESTION],
      abortSignal: undefined,
    });
    let message: UIMessage | undefined;
    let error: unknown;
    for await (const state of readUIMessageStream({
      stream,
      onError: (thrown) => {
        error = thrown;
      },
    }))
      message = state;
    return { message, error };
  }

  it('gets an answer that the AI SDK reads: text, sources, extras', async () => {
    const { say } = heldAnswer();
    const filed = { ...CITATION, index: 2, url: 'https://example.com/a' };
    say('Hel', 'lo data: [1]', { ...END, citations: [CITATION, filed] } as AnswerEvent);
    const { message, error } = await send({ conversation: true, user: 'ann' });
    expect(error).toBe(undefined);
    expect(message).toMatchObject({ role: 'assistant', id: expect.stringMatching(/^msg_/) });
    expect(message?.parts).toMatchObject([
      { type: 'text', text: 'Hello data: [1]', state: 'done' },
      { type: 'source-document', sourceId: '1', title: 'Guide' },
      { type: 'source-url', sourceId: '2', url: 'https://example.com/a' },
      { type: 'data-chatsphere', data: { grounded: true, message: message?.id } },
    ]);
    expect(server.asked.at(-1)).toMatchObject({
      conversation: true,
      endUser: 'ann',
      messages: [{ role: 'user', content: 'Hi' }],
    });
  });

  it('gets calls of tools in parts', async () => {
    const { say } = heldAnswer();
    const piece = { type: 'tool-call-delta', index: 0 } as const;
    say({ ...piece, id: 'call_1', name: 'look', argumentsText: '{"a"' }, { ...piece, argumentsText: ':1}' }, {
      ...END,
      finishReason: 'tool_calls',
      citations: [],
    } as AnswerEvent);
    const { message } = await send();
    expect(message?.parts[0]).toMatchObject({
      type: 'dynamic-tool',
      toolName: 'look',
      toolCallId: 'call_1',
      state: 'input-available',
      input: { a: 1 },
    });
  });

  it('is told of a failure, and of nothing else', async () => {
    const { say } = heldAnswer();
    say('Hel', new AppError('stream_interrupted', 'Broke off.', { retryable: true }));
    const { error, message } = await send();
    expect(String(error)).toContain('Broke off.');
    expect(message?.parts).toMatchObject([{ type: 'text', text: 'Hel' }]);
  });

  it('is resumed by its id while it is live, and not after', async () => {
    const { say } = heldAnswer();
    say('Hel');
    expect(await transport().reconnectToStream({ chatId: 'chat-1' })).toBe(null);
    const sent = await transport({ resumable: true }).sendMessages({
      trigger: 'submit-message',
      chatId: 'chat-1',
      messageId: undefined,
      messages: [QUESTION],
      abortSignal: undefined,
    });
    const again = await transport().reconnectToStream({ chatId: 'chat-1' });
    say('lo', END);
    const texts = [];
    for (const stream of [sent, again]) {
      let last: UIMessage | undefined;
      if (stream !== null) for await (const state of readUIMessageStream({ stream })) last = state;
      texts.push(last?.parts[0]);
    }
    expect(texts).toMatchObject([{ text: 'Hello' }, { text: 'Hello' }]);
    expect(texts).toHaveLength(2);
    expect(await transport().reconnectToStream({ chatId: 'chat-1' })).toBe(null);
  });

  it('says in its headers what it is, and refuses what is no question', async () => {
    const { say } = heldAnswer();
    say('x', END);
    const body = { messages: [QUESTION] };
    const { headers, text } = await server.call({ method: 'POST', url: '/v1/bots/guide/chat', json: body });
    expect(headers).toMatchObject({
      'x-vercel-ai-ui-message-stream': 'v1',
      'content-type': 'text/event-stream; charset=utf-8',
      'x-chatsphere-served-by': 'local/extractive',
    });
    expect(text.trimEnd().endsWith('data: [DONE]')).toBe(true);
    const refused = await server.call({
      method: 'POST',
      url: '/v1/bots/guide/chat',
      json: { messages: [{ role: 'user', parts: [{ type: 'file', url: 'x' }] }] },
    });
    expect([refused.status, refused.body.error.param]).toEqual([400, 'messages']);
  });
});
