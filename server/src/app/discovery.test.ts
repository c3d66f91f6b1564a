import { describe, expect, it } from 'vitest';
import type { ProviderCall, ProviderHttp, ProviderResponse } from '../llm/index.ts';
import { readConfig } from './config.ts';
import { withDiscoveredModel } from './discovery.ts';

/** HTTP to whoever answers so; null: nobody answers until the caller gives up. */
function httpTo(body: unknown) {
  const calls: ProviderCall[] = [];
  const http: ProviderHttp = {
    async send(call) {
      calls.push(call);
      if (body === null) await untilAborted(call.signal);
      return responseOf(body);
    },
    stop: async () => {},
  };
  return { http, calls };
}

function untilAborted(signal: AbortSignal | undefined): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal?.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}

function responseOf(body: unknown): ProviderResponse {
  const pieces = [[Buffer.from(JSON.stringify(body))]];
  return {
    status: 200,
    header: () => 'application/json',
    read: async () => pieces.shift() ?? null,
    finish: () => {},
    cancel: () => {},
  };
}

describe('a start without any provider', () => {
  it('answers with the latest model of the Ollama on this machine', async () => {
    const { http, calls } = httpTo({ models: [{ name: 'llama3.2:3b' }, { name: 'qwen3' }] });
    const config = await withDiscoveredModel(readConfig({}), http);
    expect(config.chatModel).toMatchObject({ provider: 'ollama', model: 'llama3.2:3b' });
    expect(config.providers.get('ollama')).toMatchObject({ kind: 'ollama', baseUrl: 'http://127.0.0.1:11434' });
    expect(calls.map(({ url }) => url)).toEqual(['http://127.0.0.1:11434/api/tags']);
  });

  it.each([
    ['none has a chat model', { models: [{ name: 'nomic-embed-text' }] }],
    ['something else listens there', { error: 'no' }],
  ])('stays as it is, without a warning, when %s', async (_name, body) => {
    const config = readConfig({});
    expect(await withDiscoveredModel(config, httpTo(body).http)).toEqual(config);
  });

  it('waits 0.3 s at most for one that does not answer', async () => {
    const config = readConfig({});
    const startedAt = performance.now();
    expect(await withDiscoveredModel(config, httpTo(null).http)).toEqual(config);
    // The one that was named would be waited for for three seconds; a busy machine may be late.
    expect(performance.now() - startedAt).toBeLessThan(2500);
  });

  it('asks the one that was named, and warns when it does not help', async () => {
    const named = readConfig({ OLLAMA_BASE_URL: 'http://gpu-box:11434/v1' });
    const { http, calls } = httpTo({ models: [] });
    const config = await withDiscoveredModel(named, http);
    expect(calls[0]?.url).toBe('http://gpu-box:11434/api/tags');
    expect(config.chatModel).toEqual(named.chatModel);
    expect(config.warnings.join()).toContain('no chat model installed');
  });

  it.each([{ OLLAMA_BASE_URL: 'off' }, { OPENAI_API_KEY: 'sk-x' }, { CHAT_MODEL: 'chatsphere/extractive' }])(
    'asks nobody with %j',
    async (environment) => {
      const { http, calls } = httpTo({ models: [{ name: 'llama3' }] });
      const config = readConfig(environment);
      expect(await withDiscoveredModel(config, http)).toEqual(config);
      expect(calls).toEqual([]);
    },
  );
});
