import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { ADMIN_KEY, type BuiltServer, callServer, startBuiltServer } from './built-server.ts';
import { type Standin, startStandin } from './openai-standin.ts';

let standin: Standin;
let folder: string;
let server: BuiltServer;
beforeAll(async () => {
  standin = await startStandin();
  folder = await mkdtemp(join(tmpdir(), 'chatsphere-drain-'));
});
afterEach(async () => {
  if (server.child.exitCode === null) await server.stop();
});
afterAll(async () => {
  await standin.stop();
  await rm(folder, { recursive: true, force: true });
});

function start(drainMs: number): Promise<BuiltServer> {
  const env = { OPENAI_BASE_URL: standin.url, DRAIN_TIMEOUT_MS: String(drainMs), ANSWER_CACHE: 'off' };
  return startBuiltServer({
    dataFolder: folder,
    env: { ...env, EMBEDDING_MODEL: 'local/static-en', EMBEDDING_FOLLOWER: 'off' },
  });
}

async function ask(slug: string) {
  await callServer(server, { path: '/v1/bots', json: { name: 'Guide', slug } });
  const response = await fetch(`${server.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${ADMIN_KEY}`, 'content-type': 'application/json' },
    body: JSON.stringify({
      model: slug,
      stream: true,
      conversation: true,
      messages: [{ role: 'user', content: 'Hi' }],
    }),
  });
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  let text = (await reader?.read())?.value ?? '';
  return {
    message: response.headers.get('x-chatsphere-message') ?? '',
    async rest() {
      for (;;) {
        const { done, value } = (await reader?.read()) ?? { done: true, value: undefined };
        if (done) return text;
        text += value;
      }
    },
  };
}

function contentOf(stream: string): string {
  const lines = stream.split('\n').filter((line) => line.startsWith('data: {"id"'));
  return lines.map((line) => JSON.parse(line.slice(6)).choices[0]?.delta.content ?? '').join('');
}

describe('a server that is told to stop', () => {
  it('refuses what is new, lets answers finish, and ends then', async () => {
    Object.assign(standin.settings, { tokenDelayMs: 20, totalTokens: 60 });
    server = await start(20_000);
    const answer = await ask('finishes');
    const exited = once(server.child, 'exit');
    server.child.kill('SIGTERM');
    await expect.poll(async () => (await fetch(`${server.url}/ready`)).status, { timeout: 5000 }).toBe(503);
    const refused = await fetch(`${server.url}/v1/models`, { headers: { authorization: `Bearer ${ADMIN_KEY}` } });
    expect(refused.status).toBe(503);
    expect(Object.fromEntries(refused.headers)).toMatchObject({ connection: 'close', 'retry-after': '5' });
    expect(((await refused.json()) as { error: { code: string } }).error.code).toBe('server_draining');
    expect((await answer.rest()).trimEnd().endsWith('data: [DONE]')).toBe(true);
    expect((await exited)[0]).toBe(0);
  });

  it('ends answers that take longer with the place to resume at, and resumes them after the restart', async () => {
    Object.assign(standin.settings, { tokenDelayMs: 20, totalTokens: 1_000_000 });
    server = await start(300);
    const answer = await ask('resumes');
    const exited = once(server.child, 'exit');
    server.child.kill('SIGTERM');
    const text = await answer.rest();
    expect((await exited)[0]).toBe(0);
    expect(text).not.toContain('[DONE]');
    const { error } = JSON.parse(text.trimEnd().split('\n').at(-1)?.slice(6) ?? '{}');
    expect(error).toMatchObject({ code: 'server_draining', retryable: true, resume: { message: answer.message } });
    expect(standin.open()).toBe(0);

    server = await start(300);
    const replay = async (after: number) => {
      const path = `/v1/messages/${answer.message}/stream?after=${after}`;
      const response = await fetch(`${server.url}${path}`, { headers: { authorization: `Bearer ${ADMIN_KEY}` } });
      return response.text();
    };
    const whole = contentOf(text);
    expect(contentOf(await replay(0)).startsWith(whole)).toBe(true);
    const rest = await replay(3);
    expect(rest.startsWith('id: 4\n')).toBe(true);
    expect(JSON.parse(rest.trimEnd().split('\n').at(-1)?.slice(6) ?? '{}').error.code).toBe('stream_interrupted');
    expect(await replay(error.resume.after)).not.toContain('[DONE]');
  });
});
