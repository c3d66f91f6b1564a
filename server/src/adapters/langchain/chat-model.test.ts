import { AIMessageChunk } from '@langchain/core/messages';
import { FakeListChatModel, FakeStreamingChatModel } from '@langchain/core/utils/testing';
import { ChatOpenAI } from '@langchain/openai';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Standin, type StandinFault, startStandin } from '../../../test/openai-standin.ts';
import type { AppError } from '../../kernel/index.ts';
import { describeChatModelContract } from '../../llm/chat-model.contract.ts';
import type { ChatModelEvent, ChatModelRequest } from '../../llm/index.ts';
import { createLangChainChatModel, type LangChainChatModel } from './chat-model.ts';

const request: ChatModelRequest = { messages: [{ role: 'user', content: 'Hello?' }], grounding: null };

function modelOf(make: () => unknown, requiresFinishReason: boolean | null = null) {
  return createLangChainChatModel({
    id: 'langchain/mine',
    make: make as () => LangChainChatModel,
    requiresFinishReason,
  });
}

function openAiOf(standin: Standin) {
  return modelOf(
    () =>
      new ChatOpenAI({
        apiKey: 'sk-secret',
        model: 'gpt-test',
        maxRetries: 0,
        configuration: { baseURL: standin.url },
      }),
  );
}

async function read(events: AsyncIterable<ChatModelEvent>) {
  let text = '';
  let end: unknown = null;
  try {
    for await (const event of events) {
      if (event.type === 'text-delta') text += event.text;
      else end = event;
    }
    return { text, end, error: null };
  } catch (error) {
    return { text, end, error: error as AppError };
  }
}

describeChatModelContract('langchain with ChatOpenAI', async () => {
  const standin = await startStandin();
  return {
    model: (reply) => {
      if (reply.kind === 'says') standin.settings.tokens = reply.tokens;
      else if (reply.kind === 'fails') standin.settings.fault = reply.when === 'at-once' ? 'error_500' : 'error_event';
      else standin.settings.fault = reply.when === 'at-once' ? 'hang_before_byte' : 'hang_mid_stream';
      return openAiOf(standin);
    },
    untilCancelled: () => standin.untilAbort(),
    stop: () => standin.stop(),
  };
});

describe('LangChain chat models behind the port', () => {
  let standin: Standin;
  beforeEach(async () => {
    standin = await startStandin();
  });
  afterEach(() => standin.stop());

  it('sends the messages, stop texts and reads usage and reason', async () => {
    const messages = [
      { role: 'system', content: 'Be kind.' },
      { role: 'user', content: 'Hi' },
      { role: 'assistant', content: 'Hello' },
      { role: 'user', content: 'Again?' },
    ] as const;
    const { text, end } = await read(openAiOf(standin).doStream({ ...request, messages, stop: ['\n'] }, {}));
    expect(text).toBe('Hello there, friend');
    expect(end).toEqual({ type: 'end', finishReason: 'stop', usage: { inputTokens: 7, outputTokens: 4 } });
    expect(standin.requests[0]).toMatchObject({
      authorization: 'Bearer sk-secret',
      body: { model: 'gpt-test', stream: true, stop: ['\n'], messages },
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
    ['context_length', 'context_length_exceeded', false],
    ['reset_before_byte', 'stream_interrupted', true],
    ['truncated', 'stream_interrupted', true],
    ['reset_mid_stream', 'stream_interrupted', true],
    ['error_event', 'provider_error', true],
    ['malformed_line', 'provider_invalid_response', true],
  ])('turns %s into %s', async (fault, code, retryable) => {
    standin.settings.fault = fault;
    const { end, error } = await read(openAiOf(standin).doStream(request, {}));
    expect(error).toMatchObject({ code, retryable });
    expect(end).toBeNull();
    expect(`${error?.message} ${error?.cause} ${JSON.stringify(error)}`).not.toMatch(/sk-|upstream text/);
    expect(standin.requests).toHaveLength(1);
  });

  it('reads how long to wait', async () => {
    Object.assign(standin.settings, { fault: 'rate_limit', rateLimitHeaders: { 'retry-after': '3' } });
    const { error } = await read(openAiOf(standin).doStream(request, {}));
    expect(error?.retryAfterMs).toBe(3000);
  });

  it('says so when nobody listens at the address', async () => {
    await standin.stop();
    const { error } = await read(openAiOf(standin).doStream(request, {}));
    expect(error).toMatchObject({ code: 'provider_unreachable', retryable: true });
  });

  it('takes a whole answer for whole when only the end of the stream does not come', async () => {
    standin.settings.fault = 'no_done';
    const { text, end } = await read(openAiOf(standin).doStream(request, {}));
    expect({ text, end }).toMatchObject({ text: 'Hello there, friend', end: { finishReason: 'stop' } });
  });

  it('reads models that stream without reasons, and models that do not stream', async () => {
    const list = modelOf(() => new FakeListChatModel({ responses: ['Grüße 漢字'] }));
    expect(await read(list.doStream(request, {}))).toMatchObject({
      text: 'Grüße 漢字',
      end: { finishReason: 'stop', usage: null },
      error: null,
    });
    const strict = modelOf(() => new FakeListChatModel({ responses: ['cut'] }), true);
    expect((await read(strict.doStream(request, {}))).error).toMatchObject({ code: 'stream_interrupted' });
    const whole = modelOf(() =>
      Object.assign(new FakeListChatModel({ responses: ['whole'] }), { disableStreaming: true }),
    );
    expect(await read(whole.doStream(request, {}))).toMatchObject({ text: 'whole', error: null });
  });

  it('reads blocks of content, and sums usage that comes in parts', async () => {
    const chunks = [
      new AIMessageChunk({ content: [{ type: 'thinking', thinking: 'hm' }] }),
      new AIMessageChunk({ content: [{ type: 'text', text: 'One ' }] }),
      new AIMessageChunk({ content: 'two', additional_kwargs: { stop_reason: 'max_tokens' } }),
    ];
    const model = modelOf(() => new FakeStreamingChatModel({ chunks }));
    expect(await read(model.doStream(request, {}))).toMatchObject({ text: 'One two', end: { finishReason: 'length' } });
  });

  it('turns what a class throws into an error that does not repeat it', async () => {
    const model = modelOf(() => new FakeStreamingChatModel({ thrownErrorString: 'upstream text with sk-leaked' }));
    const { error } = await read(model.doStream(request, {}));
    expect(error).toMatchObject({ code: 'provider_error', retryable: true });
    expect(`${error?.message} ${error?.cause}`).not.toContain('sk-');
  });

  it('offers tools, and passes their calls on in pieces', async () => {
    const bodies: Record<string, unknown>[] = [];
    const fetch = async (_url: unknown, init?: { body?: unknown }) => {
      bodies.push(JSON.parse(String(init?.body)));
      return sseOf([
        { tool_calls: [{ index: 0, id: 'call_a', function: { name: 'weather', arguments: '' } }] },
        { tool_calls: [{ index: 0, function: { arguments: '{"city":' } }] },
        { tool_calls: [{ index: 1, id: 'call_b', function: { name: 'time', arguments: '{}' } }] },
        { tool_calls: [{ index: 0, function: { arguments: '"Ulm"}' } }] },
      ]);
    };
    const model = modelOf(
      () => new ChatOpenAI({ apiKey: 'k', model: 'gpt-test', maxRetries: 0, configuration: { fetch: fetch as never } }),
    );
    const events: ChatModelEvent[] = [];
    const asked: ChatModelRequest = {
      messages: [
        { role: 'user', content: 'Weather?' },
        {
          role: 'assistant',
          content: '',
          toolCalls: [{ id: 'call_0', name: 'weather', argumentsText: '{"city":"Bonn"}' }],
        },
        { role: 'tool', content: 'rain', toolCallId: 'call_0' },
      ],
      grounding: null,
      tools: [
        { name: 'weather', description: 'Says', parameters: { type: 'object', properties: { city: {} } } },
        { name: 'time' },
      ],
      toolChoice: 'required',
      parallelToolCalls: true,
      responseFormat: { type: 'json_object' },
    };
    for await (const event of model.doStream(asked, {})) events.push(event);
    expect(bodies[0]).toMatchObject({
      messages: [
        { role: 'user', content: 'Weather?' },
        {
          role: 'assistant',
          tool_calls: [{ id: 'call_0', type: 'function', function: { name: 'weather', arguments: '{"city":"Bonn"}' } }],
        },
        { role: 'tool', content: 'rain', tool_call_id: 'call_0' },
      ],
      tools: [{ type: 'function', function: { name: 'weather', description: 'Says' } }, { function: { name: 'time' } }],
      tool_choice: 'required',
      parallel_tool_calls: true,
      response_format: { type: 'json_object' },
    });
    expect(events).toEqual([
      { type: 'tool-call-delta', index: 0, id: 'call_a', name: 'weather', argumentsText: '' },
      { type: 'tool-call-delta', index: 0, argumentsText: '{"city":' },
      { type: 'tool-call-delta', index: 1, id: 'call_b', name: 'time', argumentsText: '{}' },
      { type: 'tool-call-delta', index: 0, argumentsText: '"Ulm"}' },
      { type: 'end', finishReason: 'tool_calls', usage: null },
    ]);
  });

  it('takes calls that come as a whole, and refuses tools for a model that takes none', async () => {
    const call = { id: 'c1', name: 'weather', args: { city: 'Ulm' }, type: 'tool_call' as const };
    const chunks = [new AIMessageChunk({ content: '', tool_calls: [call] })];
    const whole = modelOf(() => new FakeStreamingChatModel({ chunks }));
    const events: ChatModelEvent[] = [];
    const asked: ChatModelRequest = { ...request, tools: [{ name: 'weather', parameters: { type: 'object' } }] };
    for await (const event of whole.doStream(asked, {})) events.push(event);
    expect(events).toEqual([
      { type: 'tool-call-delta', index: 0, id: 'c1', name: 'weather', argumentsText: '{"city":"Ulm"}' },
      { type: 'end', finishReason: 'tool_calls', usage: null },
    ]);
    const none = modelOf(() => Object.assign(new FakeListChatModel({ responses: ['x'] }), { bindTools: undefined }));
    expect((await read(none.doStream(asked, {}))).error).toMatchObject({ code: 'provider_rejected_request' });
  });

  it('makes one instance for the same settings', async () => {
    let made = 0;
    const model = modelOf(() => {
      made += 1;
      return new FakeListChatModel({ responses: ['a', 'b', 'c'] });
    });
    for (const temperature of [0.1, 0.1, 0.2]) await read(model.doStream({ ...request, temperature }, {}));
    expect(made).toBe(2);
  });
});

/** A streamed completion with these deltas, ended by calls of tools. */
function sseOf(deltas: readonly object[]): Response {
  const frame = (delta: object, reason: string | null): string =>
    `data: ${JSON.stringify({ id: 'x', object: 'chat.completion.chunk', choices: [{ index: 0, delta, finish_reason: reason }] })}\n\n`;
  const frames = [
    frame({ role: 'assistant', content: '' }, null),
    ...deltas.map((delta) => frame(delta, null)),
    frame({}, 'tool_calls'),
    'data: [DONE]\n\n',
  ];
  return new Response(frames.join(''), { headers: { 'content-type': 'text/event-stream' } });
}
