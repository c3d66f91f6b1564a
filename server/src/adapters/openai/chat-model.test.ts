import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  type Standin,
  type StandinFault,
  type StandinSettings,
  startStandin,
  UPSTREAM_TEXT,
} from '../../../test/openai-standin.ts';
import { type AppError, createManualClock, silentLogger, silentMeter, systemClock } from '../../kernel/index.ts';
import { describeChatModelContract } from '../../llm/chat-model.contract.ts';
import {
  type ChatModelEvent,
  type ChatModelRequest,
  createModelCaller,
  type ProviderHttp,
  readAnswer,
} from '../../llm/index.ts';
import { createProviderHttp } from '../provider-http/index.ts';
import { createOpenAiChatModel, type OpenAiChatModelOptions } from './chat-model.ts';

describeChatModelContract('openai', async () => {
  const standin = await startStandin();
  const http = createProviderHttp();
  return {
    model: (reply) => {
      if (reply.kind === 'says') standin.settings.tokens = reply.tokens;
      else if (reply.kind === 'fails') standin.settings.fault = reply.when === 'at-once' ? 'error_500' : 'error_event';
      else standin.settings.fault = reply.when === 'at-once' ? 'hang_before_byte' : 'hang_mid_stream';
      return createOpenAiChatModel({ http, baseUrl: standin.url, apiKey: 'sk-test', model: 'gpt-test' });
    },
    untilCancelled: () => standin.untilAbort(),
    async stop() {
      await standin.stop();
      await http.stop();
    },
  };
});

const request: ChatModelRequest = { messages: [{ role: 'user', content: 'Hello?' }], grounding: null };

async function read(events: AsyncIterable<ChatModelEvent>): Promise<{ text: string; end: unknown; error: unknown }> {
  let text = '';
  let end: unknown = null;
  try {
    for await (const event of events) {
      if (event.type === 'text-delta') text += event.text;
      else end = event;
    }
    return { text, end, error: null };
  } catch (error) {
    return { text, end, error };
  }
}

describe('OpenAI chat model', () => {
  let standin: Standin;
  let http: ProviderHttp;
  beforeEach(async () => {
    standin = await startStandin();
    http = createProviderHttp();
  });
  afterEach(async () => {
    await standin.stop();
    await http.stop();
  });

  const modelOf = (changes: Partial<OpenAiChatModelOptions> = {}) =>
    createOpenAiChatModel({ http, baseUrl: standin.url, apiKey: 'sk-secret', model: 'gpt-test', ...changes });
  const ask = (changes: Partial<StandinSettings> = {}, asked: Partial<ChatModelRequest> = {}) => {
    Object.assign(standin.settings, changes);
    return read(modelOf().doStream({ ...request, ...asked }, {}));
  };

  it('sends what was asked, with the key, and reads the usage', async () => {
    const { end } = await ask({}, { temperature: 0.2, maxOutputTokens: 50, stop: ['\n'], endUser: 'usr_1' });
    expect(end).toEqual({ type: 'end', finishReason: 'stop', usage: { inputTokens: 7, outputTokens: 4 } });
    expect(standin.requests).toMatchObject([
      {
        path: '/v1/chat/completions',
        authorization: 'Bearer sk-secret',
        body: {
          model: 'gpt-test',
          messages: [{ role: 'user', content: 'Hello?' }],
          stream: true,
          stream_options: { include_usage: true },
          temperature: 0.2,
          max_tokens: 50,
          stop: ['\n'],
          user: 'usr_1',
        },
      },
    ]);
  });

  it.each(['o1-mini', 'o3', 'gpt-5-mini', 'openai/gpt-5'])('speaks to %s as to a model that reasons', async (model) => {
    await read(modelOf({ model }).doStream({ ...request, maxOutputTokens: 9, temperature: 0 }, {}));
    expect(standin.requests[0]?.body).toMatchObject({ max_completion_tokens: 9 });
    expect(standin.requests[0]?.body).not.toHaveProperty('max_tokens');
    expect(standin.requests[0]?.body).not.toHaveProperty('temperature');
  });

  it('sends no key to a server that takes none, and minds no slash at the end of the address', async () => {
    await read(modelOf({ apiKey: null, baseUrl: `${standin.url}/` }).doStream(request, {}));
    expect(standin.requests[0]).toMatchObject({ path: '/v1/chat/completions', authorization: undefined });
  });

  it.each<[StandinFault]>([['none'], ['no_done'], ['crlf'], ['split_utf8'], ['ignores_stream']])(
    'reads a whole answer in spite of %s',
    async (fault) => {
      const { text, end, error } = await ask({ fault, tokens: ['Grüße', ' 漢', '字 🙂'] });
      expect(error).toBeNull();
      expect(text).toBe('Grüße 漢字 🙂');
      expect(end).toMatchObject({ finishReason: 'stop', usage: { inputTokens: 7, outputTokens: 3 } });
    },
  );

  it('takes an answer for whole when only the end of the stream does not come', async () => {
    const clock = createManualClock();
    standin.settings.fault = 'hang_after_finish';
    const answer = read(modelOf({ clock }).doStream(request, {}));
    let settled = false;
    void answer.then(() => {
      settled = true;
    });
    while (!settled) await clock.advance(100);
    await expect(answer).resolves.toMatchObject({
      text: 'Hello there, friend',
      end: { finishReason: 'stop' },
      error: null,
    });
    await standin.untilAbort();
  });

  it('reports a content filter as the end', async () => {
    await expect(ask({ fault: 'content_filter' })).resolves.toMatchObject({
      text: '',
      end: { finishReason: 'content_filter' },
    });
  });

  it.each<[StandinFault, AppError['code'], boolean]>([
    ['unauthorized', 'provider_authentication_failed', false],
    ['forbidden', 'provider_authentication_failed', false],
    ['quota', 'provider_quota_exhausted', false],
    ['rate_limit', 'provider_rate_limited', true],
    ['error_500', 'provider_error', true],
    ['error_529', 'provider_error', true],
    ['html_502', 'provider_error', true],
    ['bad_request', 'provider_rejected_request', false],
    ['not_found', 'provider_rejected_request', false],
    ['redirect', 'provider_rejected_request', false],
    ['context_length', 'context_length_exceeded', false],
    ['reset_before_byte', 'stream_interrupted', true],
    ['empty_body', 'provider_invalid_response', true],
    ['malformed_json', 'provider_invalid_response', true],
    ['error_in_200', 'provider_error', true],
  ])('turns %s into %s', async (fault, code, retryable) => {
    const { text, end, error } = await ask({ fault });
    expect({ text, end }).toEqual({ text: '', end: null });
    expect(error).toMatchObject({ code, retryable });
    expect((error as AppError).message).not.toContain(UPSTREAM_TEXT);
    expect(JSON.stringify(flatten(error))).not.toMatch(/sk-|upstream text/);
  });

  it.each<[StandinFault, AppError['code']]>([
    ['truncated', 'stream_interrupted'],
    ['reset_mid_stream', 'stream_interrupted'],
    ['error_event', 'provider_error'],
    ['malformed_line', 'provider_invalid_response'],
  ])('turns %s in mid-answer into %s', async (fault, code) => {
    const { text, end, error } = await ask({ fault });
    expect({ text, end }).toEqual({ text: 'Hello there', end: null });
    expect(error).toMatchObject({ code, retryable: true });
    expect(JSON.stringify(flatten(error))).not.toMatch(/sk-|upstream text/);
  });

  it.each([
    [{ 'retry-after': '3' }, 3000],
    [{ 'retry-after': '1.5' }, 1500],
    [{ 'retry-after-ms': '250', 'retry-after': '9' }, 250],
    [{}, undefined],
    [{ 'retry-after': 'soon' }, undefined],
  ])('reads how long to wait from %j', async (rateLimitHeaders, retryAfterMs) => {
    const { error } = await ask({ fault: 'rate_limit', rateLimitHeaders: rateLimitHeaders as Record<string, string> });
    expect((error as AppError).retryAfterMs).toBe(retryAfterMs);
  });

  it('reads how long to wait from a date', async () => {
    const clock = createManualClock(Date.parse('2030-01-01T00:00:00Z'));
    Object.assign(standin.settings, {
      fault: 'rate_limit',
      rateLimitHeaders: { 'retry-after': 'Tue, 01 Jan 2030 00:00:20 GMT' },
    });
    const { error } = await read(modelOf({ clock }).doStream(request, {}));
    expect((error as AppError).retryAfterMs).toBe(20_000);
  });

  it('says so when nobody listens at the address', async () => {
    await standin.stop();
    const { error } = await read(modelOf().doStream(request, {}));
    expect(error).toMatchObject({ code: 'provider_unreachable', retryable: true });
  });

  it('gives up a connection that is not made in time, but not an answer that is late', async () => {
    const silent = createServer();
    const impatient = createProviderHttp({ connectTimeoutMs: 200 });
    silent.listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const { port } = silent.address() as AddressInfo;
    // The handshake never ends, so the connection is never made.
    const answer = read(modelOf({ baseUrl: `https://127.0.0.1:${port}`, http: impatient }).doStream(request, {}));
    const [socket] = await once(silent, 'connection');
    await expect(answer).resolves.toMatchObject({ error: { code: 'provider_unreachable', retryable: true } });
    socket.destroy();
    silent.close();

    standin.settings.fault = 'hang_before_byte';
    const controller = new AbortController();
    const late = read(modelOf({ http: impatient }).doStream(request, { signal: controller.signal }));
    await standin.untilRequest();
    await systemClock.sleep(400);
    controller.abort(new Error('left'));
    await expect(late).resolves.toMatchObject({ error: { message: 'left' } });
    await impatient.stop();
  });

  it('uses a connection again after a whole answer', async () => {
    const ports = new Set<number | undefined>();
    for (let call = 0; call < 8; call += 1) {
      await read(modelOf().doStream(request, {}));
      ports.add(standin.requests.at(-1)?.clientPort);
    }
    // The next call may find the first connection still busy with the end of its answer, and open a second.
    expect(ports.size).toBeLessThanOrEqual(2);
  });
});

describe('OpenAI chat model behind the model caller', () => {
  let standin: Standin;
  let http: ProviderHttp;
  beforeEach(async () => {
    standin = await startStandin();
    http = createProviderHttp();
  });
  afterEach(async () => {
    await standin.stop();
    await http.stop();
  });

  const callerOf = () =>
    createModelCaller({
      counter: { count: () => 1 },
      model: createOpenAiChatModel({ http, baseUrl: standin.url, apiKey: 'sk-secret', model: 'gpt-test' }),
      deadlines: { firstTokenMs: 5000, idleTokenMs: 5000, totalMs: 10_000 },
      retries: { attempts: 3, baseDelayMs: 1, maxDelayMs: 1 },
      clock: systemClock,
      logger: silentLogger,
      meter: silentMeter,
    });

  it.each<[StandinFault]>([['error_500'], ['html_502'], ['reset_before_byte'], ['empty_body'], ['malformed_json']])(
    'gets its answer in spite of a first %s',
    async (fault) => {
      standin.settings.nextFaults = [fault];
      await expect(readAnswer(callerOf().stream(request))).resolves.toMatchObject({
        text: 'Hello there, friend',
        attempts: 2,
      });
    },
  );

  it.each<[StandinFault]>([['error_event'], ['truncated'], ['reset_mid_stream'], ['malformed_line']])(
    'gets its answer in spite of %s before the first token',
    async (fault) => {
      Object.assign(standin.settings, { nextFaults: [fault], afterTokens: 0 });
      await expect(readAnswer(callerOf().stream(request))).resolves.toMatchObject({ attempts: 2 });
    },
  );

  it.each<[StandinFault]>([['quota'], ['unauthorized'], ['context_length']])(
    'asks once only after %s',
    async (fault) => {
      standin.settings.fault = fault;
      await expect(readAnswer(callerOf().stream(request))).rejects.toMatchObject({ retryable: false });
      expect(standin.requests).toHaveLength(1);
    },
  );

  it.each<[string, StandinFault, number]>([
    ['before a byte', 'hang_before_byte', 0],
    ['before the first token', 'hang_after_head', 0],
    ['in mid-answer', 'hang_mid_stream', 2],
  ])('cancels the upstream call within 100 ms when the client leaves %s', async (_name, fault, events) => {
    standin.settings.fault = fault;
    const controller = new AbortController();
    const iterator = callerOf().stream(request, { signal: controller.signal })[Symbol.asyncIterator]();
    for (let read = 0; read < events; read += 1) await iterator.next();
    const waiting = readOn(iterator);
    waiting.catch(() => {});
    await standin.untilRequest();
    const left = performance.now();
    controller.abort(new Error('left'));
    expect((await standin.untilAbort()) - left).toBeLessThan(100);
    await expect(waiting).rejects.toThrow('left');
  });
});

async function readOn(iterator: AsyncIterator<unknown>): Promise<void> {
  while ((await iterator.next()).done !== true);
}

/** An error with all of its causes, as a log would write it. */
function flatten(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  return { ...error, text: error.message, cause: flatten(error.cause) };
}
