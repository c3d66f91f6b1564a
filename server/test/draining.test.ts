import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { Agent, type IncomingMessage, request } from 'node:http';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { ADMIN_KEY, type BuiltServer, callServer, startBuiltServer } from './built-server.ts';
import { type Standin, startStandin } from './openai-standin.ts';

// Processes start slowly on a loaded machine.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

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

function start(drainMs: number, more: Readonly<Record<string, string>> = {}): Promise<BuiltServer> {
  const env = { OPENAI_BASE_URL: standin.url, DRAIN_TIMEOUT_MS: String(drainMs), ANSWER_CACHE: 'off', ...more };
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

/** The connection that is kept open for the next request. */
async function askedBy(agent: Agent, url: string): Promise<Socket> {
  const asked = request(`${url}/health`, { agent }).end();
  const [response] = (await once(asked, 'response')) as [IncomingMessage];
  const { socket } = response;
  response.resume();
  await once(response, 'end');
  return socket;
}

/** Why a new connection is not made, or null. */
function refusal(url: string): Promise<string | null> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve) => {
    const socket = connect(Number(port), hostname, () => {
      socket.destroy();
      resolve(null);
    });
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
  });
}

describe('a server that starts', () => {
  it('serves whoever reaches it, from its first connection on', async () => {
    const probe = createServer().listen(0, '127.0.0.1');
    await once(probe, 'listening');
    const { port } = probe.address() as AddressInfo;
    probe.close();
    const said = new Set<number>();
    let isUp = false;
    const poll = async (): Promise<void> => {
      while (!isUp)
        await fetch(`http://127.0.0.1:${port}/readyz`).then(
          ({ status }) => said.add(status),
          () => setTimeout(5),
        );
    };
    const polled = poll();
    server = await startBuiltServer({ port, env: { EMBEDDING_FOLLOWER: 'off' } });
    await callServer(server, { path: '/v1/models' });
    isUp = true;
    await polled;
    expect([...said]).toEqual([200]);
  });
});

describe('a server that is told to stop', () => {
  it('refuses what is new, lets answers finish, and ends then', async () => {
    Object.assign(standin.settings, { tokenDelayMs: 20, totalTokens: 60 });
    server = await start(20_000);
    const answer = await ask('finishes');
    const exited = once(server.child, 'exit');
    server.child.kill('SIGTERM');
    await expect.poll(async () => (await fetch(`${server.url}/ready`)).status, { timeout: 30_000 }).toBe(503);
    const refused = await fetch(`${server.url}/v1/models`, { headers: { authorization: `Bearer ${ADMIN_KEY}` } });
    expect(refused.status).toBe(503);
    expect(Object.fromEntries(refused.headers)).toMatchObject({ connection: 'close', 'retry-after': '5' });
    expect(((await refused.json()) as { error: { code: string } }).error.code).toBe('server_draining');
    expect((await answer.rest()).trimEnd().endsWith('data: [DONE]')).toBe(true);
    expect((await exited)[0]).toBe(0);
  });

  it('serves on for its delay, then takes no connections, which a proxy may send elsewhere whatever the request is', async () => {
    Object.assign(standin.settings, { tokenDelayMs: 20, totalTokens: 400 });
    server = await start(20_000, { SHUTDOWN_DELAY_MS: '4000' });
    const answer = await ask('closes');
    const agent = new Agent({ keepAlive: true });
    const kept = await askedBy(agent, server.url);
    const exited = once(server.child, 'exit');
    const closed = once(kept, 'close');
    server.child.kill('SIGTERM');
    await expect.poll(async () => (await fetch(`${server.url}/ready`)).status, { timeout: 30_000 }).toBe(503);
    expect((await callServer(server, { path: '/v1/models' })).status).toBe(200);
    await closed;
    await expect.poll(() => refusal(server.url), { timeout: 30_000 }).toBe('ECONNREFUSED');
    expect(standin.open()).toBe(1);
    expect((await answer.rest()).trimEnd().endsWith('data: [DONE]')).toBe(true);
    expect((await exited)[0]).toBe(0);
    agent.destroy();
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
