import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import {
  describeWithPostgres,
  startTestPostgres,
  type TestPostgres,
} from '../src/adapters/postgres/postgres-server.contract.ts';
import { type BuiltServer, callServer, jobEnded, startBuiltServer } from './built-server.ts';

// Processes start slowly on a loaded machine.
vi.setConfig({ testTimeout: 240_000, hookTimeout: 240_000 });

const PATIENCE = { timeout: 30_000, interval: 50 };

describeWithPostgres('two servers and a worker on one database, without Redis', () => {
  let database: TestPostgres;
  let one: BuiltServer;
  let two: BuiltServer;
  let worker: BuiltServer;
  let atFirst: unknown;
  const folders: string[] = [];
  beforeAll(async () => {
    database = await startTestPostgres();
    const env = {
      DATABASE_URL: database.url,
      CHATSPHERE_SECRET: 'a secret of the tests, long enough to be one',
      EMBEDDING_FOLLOWER: 'off',
    };
    // At the same moment: the first start is made once. Each has a folder of its own, as on machines of their own.
    const start = (command: readonly string[]) => {
      const dataFolder = mkdtempSync(join(tmpdir(), 'chatsphere-fleet-'));
      folders.push(dataFolder);
      return startBuiltServer({ env, command, dataFolder });
    };
    [one, two] = await Promise.all([start(['serve', '--no-worker']), start(['serve', '--no-worker'])]);
    atFirst = (await callServer(two, { path: '/v1/bots' })).body['data'];
    await callServer(one, { method: 'DELETE', path: '/v1/bots/demo' });
    await callServer(one, { path: '/v1/bots', json: { name: 'Guide', slug: 'guide' } });
    worker = await start(['worker']);
  });
  afterAll(async () => {
    await Promise.all([one?.stop(), two?.stop(), worker?.stop()]);
    await database?.remove();
    for (const folder of folders) rmSync(folder, { recursive: true, force: true });
  });

  async function upload(server: BuiltServer, text: string): Promise<{ readonly id: string; readonly job: string }> {
    const form = new FormData();
    form.append('file', new Blob([`# Page\n\n${text}\n`]), 'page.md');
    const { status, body } = await callServer(server, { path: '/v1/bots/guide/sources', form });
    expect(status).toBe(202);
    return { id: String(body['id']), job: String(body['job_id']) };
  }

  const search = async (server: BuiltServer, query: string): Promise<string> =>
    JSON.stringify((await callServer(server, { path: '/v1/bots/guide/search', json: { query } })).body['data']);

  it('makes one demo bot, whoever starts first', () => {
    expect(atFirst).toMatchObject([{ slug: 'demo' }]);
  });

  it('trains at the worker what was uploaded to a server, and tells the other server how it goes', async () => {
    const { id, job } = await upload(one, 'The lighthouse of Quorn is open on Tuesdays.');
    await jobEnded(two, job);
    const { body } = await callServer(two, { path: `/v1/bots/guide/sources/${id}` });
    expect(body).toMatchObject({ status: 'ready', counts: { documents: 1 } });
    expect(await search(two, 'When is the lighthouse open?')).toContain('Tuesdays');
  });

  it('finds nothing of a deleted source at the other server, from the response on', async () => {
    for (let round = 0; round < 5; round += 1) {
      const text = `The harbour of Wexley number ${round} is deep.`;
      const { id, job } = await upload(one, text);
      await jobEnded(one, job);
      expect(await search(two, text)).toContain(`Wexley number ${round}`);
      await callServer(one, { method: 'DELETE', path: `/v1/bots/guide/sources/${id}` });
      expect(await search(two, text)).not.toContain(`Wexley number ${round}`);
    }
  });

  it('shows changes of a bot at the other server at once, and forgets answers of what was deleted', async () => {
    const question = { model: 'guide', messages: [{ role: 'user', content: 'What does the baker of Orlam sell?' }] };
    const { id, job } = await upload(one, 'The baker of Orlam sells rye bread.');
    await jobEnded(one, job);
    const ask = async (server: BuiltServer) =>
      JSON.stringify((await callServer(server, { path: '/v1/chat/completions', json: question })).body['choices']);
    expect(await ask(two)).toContain('rye bread');
    await callServer(one, { method: 'DELETE', path: `/v1/bots/guide/sources/${id}` });
    expect(await ask(two)).not.toContain('rye bread');
    for (let round = 0; round < 20; round += 1) {
      const name = `Guide ${round}`;
      await callServer(round % 2 === 0 ? one : two, { method: 'PATCH', path: '/v1/bots/guide', json: { name } });
      expect((await callServer(round % 2 === 0 ? two : one, { path: '/v1/bots/guide' })).body['name']).toBe(name);
    }
  });

  it('refuses a key at the other server soon after it was revoked', async () => {
    const { body } = await callServer(one, { path: '/v1/api_keys', json: { name: 'Visitor', scopes: ['bots:read'] } });
    const key = String(body['secret']);
    const status = async () => (await callServer(two, { path: '/v1/bots', key })).status;
    expect(await status()).toBe(200);
    await callServer(one, { method: 'DELETE', path: `/v1/api_keys/${body['id']}` });
    await expect.poll(status, PATIENCE).toBe(401);
  });

  it('runs an idempotent request once, whichever servers it comes to at once', async () => {
    const headers = {
      authorization: `Bearer test-admin-key-0123456789`,
      'content-type': 'application/json',
      'idempotency-key': 'once',
    };
    const body = JSON.stringify({ name: 'Once' });
    const ask = (server: BuiltServer) => fetch(`${server.url}/v1/bots`, { method: 'POST', headers, body });
    const responses = await Promise.all([one, two, one, two].map(ask));
    const ids = await Promise.all(responses.map(async (response) => ((await response.json()) as { id: string }).id));
    expect(new Set(ids).size).toBe(1);
  });

  it('says how the worker is', async () => {
    for (const path of ['/healthz', '/readyz', '/metrics']) {
      expect((await fetch(worker.url + path)).status, path).toBe(200);
    }
    expect((await fetch(`${worker.url}/v1/bots`)).status).toBe(404);
    const { body } = await callServer(one, { path: '/v1/workers' });
    expect(body['data']).toHaveLength(1);
  });

  it('leaves what a killed worker was at to another one', async () => {
    const waiting = await upload(one, 'The ferry to Lund leaves at noon.');
    const exited = worker.stop('SIGKILL');
    await exited;
    const { id, job } = await upload(two, 'The ferry from Lund leaves at six.');
    worker = await startBuiltServer({
      env: {
        DATABASE_URL: database.url,
        CHATSPHERE_SECRET: 'a secret of the tests, long enough to be one',
        EMBEDDING_FOLLOWER: 'off',
      },
      command: ['worker'],
    });
    await Promise.all([jobEnded(one, job), jobEnded(two, waiting.job)]);
    for (const source of [id, waiting.id]) {
      const { body } = await callServer(two, { path: `/v1/bots/guide/sources/${source}` });
      expect(body['status']).toBe('ready');
    }
  });
});
