import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type AnthropicFault, type AnthropicStandin, startAnthropicStandin } from '../../../test/anthropic-standin.ts';
import type { AppError } from '../../kernel/index.ts';
import { describeChatModelContract } from '../../llm/chat-model.contract.ts';
import type { ChatModelEvent, ChatModelRequest, ProviderHttp } from '../../llm/index.ts';
import { createProviderHttp } from '../provider-http/index.ts';
import { createAnthropicChatModel } from './chat-model.ts';

describeChatModelContract('anthropic', async () => {
  const standin = await startAnthropicStandin();
  const http = createProviderHttp();
  return {
    model(reply) {
      if (reply.kind === 'says') standin.settings.tokens = reply.tokens;
      else if (reply.kind === 'fails')
        standin.settings.fault = reply.when === 'at-once' ? 'overloaded' : 'overloaded_event';
      else standin.settings.fault = reply.when === 'at-once' ? 'hang_before_byte' : 'hang_mid_stream';
      return createAnthropicChatModel({ http, baseUrl: standin.url, apiKey: 'sk-ant-test', model: 'claude-test' });
    },
    untilCancelled: () => standin.untilAbort(),
    async stop() {
      await standin.stop();
      await http.stop();
    },
  };
});

describe('Anthropic chat model', () => {
  let standin: AnthropicStandin;
  let http: ProviderHttp;
  beforeEach(async () => {
    standin = await startAnthropicStandin();
    http = createProviderHttp();
  });
  afterEach(async () => {
    await standin.stop();
    await http.stop();
  });

  async function ask(changes: Partial<ChatModelRequest> = {}) {
    const model = createAnthropicChatModel({
      http,
      baseUrl: standin.url,
      apiKey: 'sk-ant-secret',
      model: 'claude-test',
    });
    const request: ChatModelRequest = { messages: [{ role: 'user', content: 'Hi' }], grounding: null, ...changes };
    const events: ChatModelEvent[] = [];
    try {
      for await (const event of model.doStream(request, {})) events.push(event);
      return { events, error: null };
    } catch (error) {
      return { events, error };
    }
  }
  const textOf = (events: readonly ChatModelEvent[]): string =>
    events.map((event) => (event.type === 'text-delta' ? event.text : '')).join('');

  it('sends what was asked as Anthropic wants it: system apart, turns that alternate, a limit', async () => {
    await ask({
      messages: [
        { role: 'system', content: 'Be brief.' },
        { role: 'assistant', content: 'Welcome!' },
        { role: 'user', content: 'One' },
        { role: 'user', content: 'Two' },
      ],
      temperature: 1.4,
      stop: ['\n', 'END'],
      endUser: 'usr_1',
    });
    expect(standin.requests[0]).toMatchObject({
      path: '/v1/messages',
      headers: { 'x-api-key': 'sk-ant-secret', 'anthropic-version': '2023-06-01' },
      body: {
        model: 'claude-test',
        max_tokens: 4096,
        stream: true,
        system: 'Be brief.',
        temperature: 1,
        stop_sequences: ['END'],
        metadata: { user_id: 'usr_1' },
        messages: [
          { role: 'user', content: [{ type: 'text', text: 'Hello.' }] },
          { role: 'assistant', content: [{ type: 'text', text: 'Welcome!' }] },
          {
            role: 'user',
            content: [
              { type: 'text', text: 'One' },
              { type: 'text', text: 'Two' },
            ],
          },
        ],
      },
    });
  });

  it.each([false, true])('reads text, calls of tools and usage (server that does not stream: %s)', async (isWhole) => {
    if (isWhole) standin.settings.fault = 'ignores_stream';
    standin.settings.stopReason = 'tool_use';
    standin.settings.toolUse = { id: 'toolu_1', name: 'weather', pieces: ['{"city":', '"Rome"}'] };
    const { events, error } = await ask({});
    expect(error).toBeNull();
    expect(textOf(events)).toBe('Hello there');
    const calls = events.filter((event) => event.type === 'tool-call-delta');
    expect(calls[0]).toMatchObject({ index: 0, id: 'toolu_1', name: 'weather' });
    expect(JSON.parse(calls.map((call) => call.argumentsText).join(''))).toEqual({ city: 'Rome' });
    expect(events.at(-1)).toEqual({
      type: 'end',
      finishReason: 'tool_calls',
      usage: { inputTokens: 14, outputTokens: 2, cachedInputTokens: 5, cacheWriteTokens: 2 },
    });
    expect(standin.requests[0]?.body['stream']).toBe(true);
  });

  it('offers tools and hands on what they answered', async () => {
    await ask({
      tools: [{ name: 'weather', parameters: { type: 'object', properties: { city: { type: 'string' } } } }],
      toolChoice: 'required',
      parallelToolCalls: false,
      messages: [
        { role: 'user', content: 'Weather in Rome?' },
        {
          role: 'assistant',
          content: '',
          toolCalls: [{ id: 'call:1', name: 'weather', argumentsText: '{"city":"Rome"}' }],
        },
        { role: 'tool', toolCallId: 'call:1', content: 'Sunny' },
      ],
    });
    expect(standin.requests[0]?.body).toMatchObject({
      tools: [{ name: 'weather', input_schema: { type: 'object', properties: { city: { type: 'string' } } } }],
      tool_choice: { type: 'any', disable_parallel_tool_use: true },
      messages: [
        { role: 'user', content: [{ type: 'text', text: 'Weather in Rome?' }] },
        { role: 'assistant', content: [{ type: 'tool_use', id: 'call_1', name: 'weather', input: { city: 'Rome' } }] },
        { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'call_1', content: 'Sunny' }] },
      ],
    });
  });

  it.each([
    ['end_turn', 'stop'],
    ['stop_sequence', 'stop'],
    ['max_tokens', 'length'],
    ['refusal', 'content_filter'],
    ['something_new', 'stop'],
  ])('maps the stop reason %s to %s', async (stopReason, finishReason) => {
    standin.settings.stopReason = stopReason;
    expect((await ask()).events.at(-1)).toMatchObject({ type: 'end', finishReason });
  });

  it.each<[AnthropicFault, AppError['code'], boolean]>([
    ['overloaded', 'provider_error', true],
    ['rate_limit', 'provider_rate_limited', true],
    ['unauthorized', 'provider_authentication_failed', false],
    ['no_credit', 'provider_quota_exhausted', false],
    ['too_long', 'context_length_exceeded', false],
  ])('turns %s into %s', async (fault, code, retryable) => {
    standin.settings.fault = fault;
    const { events, error } = await ask();
    expect(events).toEqual([]);
    expect(error).toMatchObject({ code, retryable, retryAfterMs: 2000 });
  });

  it.each<[AnthropicFault, AppError['code']]>([
    ['overloaded_event', 'provider_error'],
    ['cut_off', 'stream_interrupted'],
  ])('turns %s in mid-answer into %s, after what was said', async (fault, code) => {
    standin.settings.fault = fault;
    const { events, error } = await ask();
    expect(textOf(events)).toBe('Hello there');
    expect(events.some((event) => event.type === 'end')).toBe(false);
    expect(error).toMatchObject({ code, retryable: true });
  });
});
