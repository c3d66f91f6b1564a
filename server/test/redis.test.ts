import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { describeWithRedis, startTestRedis, type TestRedis } from '../src/adapters/redis/redis-server.contract.ts';
import { ADMIN_KEY, type BuiltServer, callServer, startBuiltServer } from './built-server.ts';
import { askServer } from './fault-bed.ts';
import { type Standin, startStandin } from './openai-standin.ts';

/** Redis is found to be away and back again several times, on a machine that may be busy. */
const SLOW_MS = 150_000;

const headers = { authorization: `Bearer ${ADMIN_KEY}`, 'content-type': 'application/json' };

describeWithRedis('two servers that share a Redis', () => {
  let redis: TestRedis;
  let standin: Standin;
  let first: BuiltServer;
  let second: BuiltServer;
  beforeAll(async () => {
    [redis, standin] = await Promise.all([startTestRedis(), startStandin()]);
    const env = {
      REDIS_URL: redis.url,
      REDIS_TIMEOUT_MS: '1000',
      OPENAI_BASE_URL: standin.url,
      OPENAI_API_KEY: 'sk-first',
      CHAT_MODEL: 'openai/gpt-test',
      EMBEDDING_MODEL: 'local/static-en',
      EMBEDDING_FOLLOWER: 'off',
      LOG_LEVEL: 'silent',
    };
    [first, second] = await Promise.all([startBuiltServer({ env }), startBuiltServer({ env })]);
    for (const server of [first, second]) {
      for (const name of ['steady', 'failing']) {
        const json = { name, slug: name, model: `openai/${name}` };
        const { status } = await callServer(server, { path: '/v1/bots', json });
        expect(status).toBe(201);
      }
      await untilRedisIs('up', server);
    }
  });
  afterAll(async () => {
    await Promise.all([first?.stop(), second?.stop()]);
    await Promise.all([standin?.stop(), redis?.stop()]);
  });

  async function untilRedisIs(state: 'up' | 'away', server: BuiltServer): Promise<void> {
    for (;;) {
      const response = await fetch(`${server.url}/ready`);
      expect(response.status).toBe(200);
      if (((await response.json()) as { redis?: string }).redis === state) return;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  it('follow and stop answers of each other', async () => {
    Object.assign(standin.settings, { tokenDelayMs: 50, totalTokens: 2000 });
    const asked = await fetch(`${first.url}/v1/chat/completions`, {
      method: 'POST',
      headers,
      body: JSON.stringify({ model: 'steady', stream: true, messages: [{ role: 'user', content: 'Count.' }] }),
    });
    const answer = (asked.body as ReadableStream<Uint8Array>).pipeThrough(new TextDecoderStream()).getReader();
    let text = '';
    while (!/"content":"[^"]+/.test(text)) text += (await answer.read()).value;
    const id = /"id":"([^"]+)"/.exec(text)?.[1];

    const view = () => fetch(`${second.url}/v1/messages/${id}/stream`, { headers });
    let viewed = await view();
    // What the first has said reaches Redis a moment later.
    while (viewed.status === 404) viewed = await view();
    expect(viewed.status).toBe(200);
    const viewer = (viewed.body as ReadableStream<Uint8Array>).pipeThrough(new TextDecoderStream()).getReader();
    let seen = '';
    while (!/"content":"[^"]+/.test(seen)) seen += (await viewer.read()).value;
    const stopped = await callServer(second, { method: 'POST', path: `/v1/messages/${id}/stop`, json: {} });
    expect(stopped).toMatchObject({ status: 200, body: { stopped: true } });
    for (let part = await viewer.read(); !part.done; part = await viewer.read()) seen += part.value;
    for (let part = await answer.read(); !part.done; part = await answer.read()) text += part.value;
    expect(text).toContain('"finish_reason":"cancelled"');
    expect(seen).toContain('"finish_reason":"cancelled"');
    Object.assign(standin.settings, { tokenDelayMs: 0, totalTokens: 0 });
  });

  it('ask no model again that the other has found to fail', async () => {
    Object.assign(standin.settings, { fault: 'error_500', faultModels: ['failing'] });
    const calls = (): number => standin.requests.filter(({ body }) => body['model'] === 'failing').length;
    for (let known = -1; known !== calls(); ) {
      known = calls();
      await askServer(first.url, { model: 'failing', stream: false });
    }
    const before = calls();
    expect(before).toBeGreaterThan(0);
    const seen = await askServer(second.url, { model: 'failing', stream: false });
    expect(seen.status, seen.raw).toBe(503);
    expect(calls()).toBe(before);
  });

  it(
    'answer all the same while Redis is paused, gone, and back empty',
    async () => {
      const load = async (number: number): Promise<void> => {
        const server = number % 2 === 0 ? first : second;
        const question = `Question ${number}?`;
        const seen = await askServer(server.url, { model: 'steady', stream: number % 3 === 0, question });
        expect(seen, seen.raw).toMatchObject({ status: 200, errors: 0 });
      };
      let asked = 0;
      const ask = async (count: number): Promise<void> => {
        const numbers = Array.from({ length: count }, (_, number) => asked + number);
        asked += count;
        await Promise.all(numbers.map(load));
      };
      await ask(20);
      redis.pause();
      await ask(20);
      for (const server of [first, second]) await untilRedisIs('away', server);
      await ask(20);
      redis.resume();
      for (const server of [first, second]) await untilRedisIs('up', server);
      await Promise.all([ask(20), redis.stop()]);
      for (const server of [first, second]) await untilRedisIs('away', server);
      await ask(20);
      await redis.start();
      for (const server of [first, second]) await untilRedisIs('up', server);
      await ask(20);
      const metrics = await (await fetch(`${first.url}/metrics`, { headers })).text();
      expect(metrics).toContain('chatsphere_redis_up 1');
      expect(metrics).toMatch(/chatsphere_redis_command_duration_seconds_count\{command="cache_get"\} \d+/);
    },
    SLOW_MS,
  );
});

describe('a server without Redis', () => {
  it('does not even load its client', async () => {
    const hook = `export async function resolve(name, context, next) { if (name === 'ioredis') throw new Error('loaded'); return next(name, context); }`;
    const register = `import { register } from 'node:module'; register(${JSON.stringify(`data:text/javascript,${encodeURIComponent(hook)}`)});`;
    const NODE_OPTIONS = `--import=data:text/javascript,${encodeURIComponent(register)}`;
    const server = await startBuiltServer({ env: { NODE_OPTIONS, LOG_LEVEL: 'silent' } });
    const { body } = await callServer(server, { path: '/ready' });
    expect(body).toMatchObject({ status: 'ready' });
    expect(body).not.toHaveProperty('redis');
    await server.stop();
    const env = { NODE_OPTIONS, LOG_LEVEL: 'silent', REDIS_URL: 'redis://127.0.0.1:9' };
    await expect(startBuiltServer({ env })).rejects.toThrow('ended with code');
  }, 90_000);
});
