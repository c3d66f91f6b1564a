import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type AnthropicStandin, startAnthropicStandin } from './anthropic-standin.ts';
import { type BuiltServer, callServer, startBuiltServer } from './built-server.ts';
import { askServer } from './fault-bed.ts';
import { type Standin, startStandin } from './openai-standin.ts';

describe('providers by name, over HTTP', () => {
  let standin: Standin;
  let anthropic: AnthropicStandin;
  let server: BuiltServer;
  beforeAll(async () => {
    standin = await startStandin();
    anthropic = await startAnthropicStandin();
    server = await startBuiltServer({
      env: {
        OPENROUTER_API_KEY: 'sk-or-1',
        OPENROUTER_BASE_URL: standin.url,
        PROVIDER_MY_VLLM_BASE_URL: `${standin.url}/`,
        PROVIDER_GROQ_BASE_URL: standin.url,
        PROVIDER_GROQ_API_KEY: 'gsk-1, gsk-2',
        PROVIDER_CLAUDE_PROXY_BASE_URL: anthropic.url,
        PROVIDER_CLAUDE_PROXY_KIND: 'anthropic',
        CHAT_MODEL: 'my-vllm/qwen/qwen3-8b',
        EMBEDDING_MODEL: 'local/static-en',
        EMBEDDING_FOLLOWER: 'off',
        LOG_LEVEL: 'silent',
      },
    });
  });
  afterAll(async () => {
    await server.stop();
    await anthropic.stop();
    await standin.stop();
  });

  async function botOf(settings: Readonly<Record<string, unknown>>): Promise<string> {
    const { body } = await callServer(server, { path: '/v1/bots', json: { name: 'Guide', ...settings } });
    return String(body['id']);
  }

  it.each([
    { name: 'the default', settings: {}, servedBy: 'my-vllm/qwen/qwen3-8b', model: 'qwen/qwen3-8b', key: undefined },
    {
      name: 'OpenRouter',
      settings: { model: 'openrouter/openai/gpt-4o' },
      servedBy: 'openrouter/openai/gpt-4o',
      model: 'openai/gpt-4o',
      key: 'sk-or-1',
    },
    {
      name: 'a name of one’s own with keys',
      settings: { model: 'groq/llama' },
      servedBy: 'groq/llama',
      model: 'llama',
      key: 'gsk-',
    },
  ])('answers with $name', async ({ settings, servedBy, model, key }) => {
    const id = await botOf(settings);
    for (const stream of [false, true]) {
      const seen = await askServer(server.url, { model: id, stream });
      expect(seen, seen.raw).toMatchObject({
        status: 200,
        text: 'Hello there, friend',
        headers: { 'x-chatsphere-served-by': servedBy },
      });
      const call = standin.requests.at(-1);
      expect(call).toMatchObject({ path: '/v1/chat/completions', body: { model, stream: true } });
      if (key === undefined) expect(call?.authorization).toBeUndefined();
      else expect(call?.authorization).toContain(`Bearer ${key}`);
    }
  });

  it('answers with a server of one’s own that speaks Anthropic’s API', async () => {
    const id = await botOf({ model: 'claude-proxy/claude-test' });
    const seen = await askServer(server.url, { model: id, stream: true });
    expect(seen, seen.raw).toMatchObject({ status: 200, text: 'Hello there', finishReason: 'stop', done: true });
    expect(anthropic.requests.at(-1)).toMatchObject({ path: '/v1/messages', body: { model: 'claude-test' } });
  });

  it('passes on the form of the answer and what tools are there, and what they answered', async () => {
    const call = { id: 'call_1', type: 'function', function: { name: 'weather', arguments: '{}' } };
    const { status } = await callServer(server, {
      path: '/v1/chat/completions',
      json: {
        model: await botOf({}),
        messages: [
          { role: 'user', content: 'Hi' },
          { role: 'assistant', content: null, tool_calls: [call] },
          { role: 'tool', content: 'Sunny', tool_call_id: 'call_1' },
        ],
        tools: [{ type: 'function', function: { name: 'weather' } }],
        response_format: { type: 'json_object' },
        presence_penalty: 0.5,
        frequency_penalty: 0.5,
        reasoning_effort: 'low',
      },
    });
    expect(status).toBe(200);
    const sent = standin.requests.at(-1)?.body ?? {};
    expect(sent).toMatchObject({
      tools: [{ function: { name: 'weather' } }],
      response_format: { type: 'json_object' },
      presence_penalty: 0.5,
      frequency_penalty: 0.5,
      reasoning_effort: 'low',
    });
    expect((sent['messages'] as unknown[]).slice(-2)).toMatchObject([
      { role: 'assistant', tool_calls: [call] },
      { role: 'tool', content: 'Sunny', tool_call_id: 'call_1' },
    ]);
  });
});
