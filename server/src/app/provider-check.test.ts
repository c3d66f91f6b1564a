import { createServer } from 'node:net';
import { expect, it } from 'vitest';
import { readConfig } from './config.ts';
import { describeChain, unreachable } from './provider-check.ts';

it('names the models in their order, each once', () => {
  const settings = {
    OPENAI_API_KEY: 'sk-one,sk-two',
    CHAT_MODEL: 'gpt-4o',
    CHAT_MODEL_FALLBACKS: 'openai/gpt-4o-mini, openai/gpt-4o',
  };
  expect(describeChain(readConfig(settings))).toBe('openai/gpt-4o, then openai/gpt-4o-mini (2 keys of openai)');
});

it('tells addresses that take a connection from those that do not', async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const url = `http://127.0.0.1:${port}/v1`;
  await expect(unreachable([url])).resolves.toEqual([]);
  await new Promise((resolve) => server.close(resolve));
  await expect(unreachable([url])).resolves.toEqual([url]);
});
