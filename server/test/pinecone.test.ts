import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { ADMIN_KEY, type BuiltServer, callServer, jobEnded, runBuiltCli, startBuiltServer } from './built-server.ts';
import { type PineconeStandin, startPineconeStandin } from './pinecone-standin/pinecone-standin.ts';

const PATIENT = { timeout: 120_000, interval: 50 };
const KEY = 'pcsk_of_the_customer_0123';

describe('a server with its vectors at Pinecone', { timeout: 180_000 }, () => {
  let standin: PineconeStandin;
  let server: BuiltServer;
  let dataFolder: string;
  beforeAll(async () => {
    dataFolder = await mkdtemp(join(tmpdir(), 'chatsphere-pinecone-'));
    standin = await startPineconeStandin({ apiKey: KEY });
    server = await startBuiltServer({ dataFolder, env: { ...environment(), PINECONE_SPARSE: 'on' } });
    await callServer(server, { path: '/v1/bots', json: { name: 'Bakery', slug: 'bakery' } });
  }, 180_000);
  // A test that fails leaves nothing to be found by the next.
  afterEach(async () => {
    Object.assign(standin.settings, { always: 'none', struck: null, lagReads: 0, lagMs: 0 });
    const { body } = await callServer(server, { path: '/v1/bots/bakery/sources' });
    for (const { id } of body['data'] as { id: string }[]) {
      await callServer(server, { method: 'DELETE', path: `/v1/bots/bakery/sources/${id}` });
    }
  });
  afterAll(async () => {
    Object.assign(standin.settings, { always: 'none', faults: [] });
    await server.stop();
    await standin.stop();
    await rm(dataFolder, { recursive: true, force: true });
  }, 180_000);

  const environment = (): Record<string, string> => ({
    VECTOR_STORE: 'pinecone',
    PINECONE_API_KEY: KEY,
    PINECONE_INDEX: 'acceptance',
    PINECONE_CONTROLLER_HOST: standin.url,
    EMBEDDING_FOLLOWER: 'off',
    LOG_LEVEL: 'error',
  });
  const train = async (title: string, content: string): Promise<{ readonly source: string; readonly job: string }> => {
    const { body } = await callServer(server, {
      path: '/v1/bots/bakery/sources',
      json: { type: 'text', title, content },
    });
    return { source: String(body['id']), job: String(body['job_id']) };
  };
  const search = async (query: string): Promise<{ title: string; scores: { dense: number | null } }[]> => {
    const { body } = await callServer(server, { path: '/v1/bots/bakery/search', json: { query } });
    return body['data'] as { title: string; scores: { dense: number | null } }[];
  };
  /** On a busy machine words answer alone at first: vectors have little time. */
  const searchByVectors = (query: string): Promise<void> =>
    vi.waitFor(async () => {
      const [first] = await search(query);
      expect(first).toMatchObject({ title: 'Hours', scores: { dense: expect.any(Number) } });
    }, PATIENT);
  const botId = async (): Promise<string> =>
    String((await callServer(server, { method: 'GET', path: '/v1/bots/bakery' })).body['id']);
  const held = async (): Promise<readonly string[]> => {
    const id = await botId();
    return Object.entries(standin.contentOf('acceptance')).flatMap(([name, ids]) => (name.includes(id) ? ids : []));
  };
  const OPENING = 'On Sundays the bakery opens at 9:15 and closes at noon.';

  it('trains, finds, answers and forgets, however late changes show', async () => {
    Object.assign(standin.settings, { lagReads: 30, lagMs: 500 });
    const { source, job } = await train('Hours', OPENING);
    await jobEnded(server, job);
    expect(standin.indexes.get('acceptance')).toMatchObject({ dimension: 256, metric: 'dotproduct' });
    await searchByVectors('Sunday opening');
    const asked = standin.requests.filter(({ path, body }) => path === '/query' && body['topK'] !== 1);
    expect(asked.map(({ body }) => 'sparseVector' in body)).toContain(true);
    const { body } = await callServer(server, {
      path: '/v1/chat/completions',
      json: { model: 'bakery', messages: [{ role: 'user', content: 'When does the bakery open on Sundays?' }] },
    });
    expect(JSON.stringify(body)).toContain('9:15');
    await callServer(server, { method: 'DELETE', path: `/v1/bots/bakery/sources/${source}` });
    expect(await search('Sunday opening')).toEqual([]);
    await vi.waitFor(async () => expect(await held()).toEqual([]), PATIENT);
    Object.assign(standin.settings, { lagReads: 0, lagMs: 0 });
    expect(standin.requests.every(({ apiKey }) => apiKey === KEY)).toBe(true);
    expect(JSON.stringify(standin.requests.map(({ body: sent }) => sent))).not.toContain('bakery opens');
  });

  it('answers by words while Pinecone is away, hangs or fails', async () => {
    const { source, job } = await train('Hours', OPENING);
    await jobEnded(server, job);
    for (const fault of ['unavailable', 'cut', 'hang', 'rate-limit', 'no-json'] as const) {
      Object.assign(standin.settings, { struck: ['/query'], always: fault });
      const found = await search(`Sunday opening ${fault}`);
      expect(found.map(({ title }) => title)).toEqual(['Hours']);
    }
    Object.assign(standin.settings, { always: 'none' });
    await callServer(server, { method: 'DELETE', path: `/v1/bots/bakery/sources/${source}` });
  });

  it('completes a training that Pinecone refused meanwhile, and deletes what it could not delete', async () => {
    Object.assign(standin.settings, { struck: ['/vectors/upsert', '/vectors/delete'], always: 'unavailable' });
    const id = await botId();
    const before = standin.requests.length;
    const { source, job } = await train('Hours', OPENING);
    await vi.waitFor(
      () =>
        expect(
          standin.requests
            .slice(before)
            .filter(({ path, body }) => path === '/vectors/upsert' && String(body['namespace']).includes(id)).length,
        ).toBeGreaterThan(1),
      PATIENT,
    );
    expect((await search('Sunday opening')).map(({ title }) => title)).toEqual(['Hours']);
    Object.assign(standin.settings, { always: 'none' });
    await jobEnded(server, job);
    await vi.waitFor(async () => expect(await held()).toHaveLength(1), PATIENT);
    Object.assign(standin.settings, { always: 'unavailable', struck: ['/vectors/delete'] });
    const { status } = await callServer(server, { method: 'DELETE', path: `/v1/bots/bakery/sources/${source}` });
    expect(status).toBe(200);
    expect(await search('Sunday opening')).toEqual([]);
    Object.assign(standin.settings, { always: 'none' });
    await vi.waitFor(async () => expect(await held()).toEqual([]), PATIENT);
  });

  it('does not start on an index that does not fit, and says what to do', async () => {
    await fetch(`${standin.url}/indexes`, {
      method: 'POST',
      headers: { 'api-key': KEY },
      body: JSON.stringify({
        ...{ name: 'other', dimension: 8, metric: 'cosine' },
        spec: { serverless: { cloud: 'aws', region: 'us-east-1' } },
      }),
    });
    const second = await mkdtemp(join(tmpdir(), 'chatsphere-pinecone-'));
    const { code, stderr } = await runBuiltCli(['serve', '--port', '0'], {
      env: {
        ...environment(),
        PINECONE_INDEX: 'other',
        CHATSPHERE_DATA_DIR: second,
        CHATSPHERE_ADMIN_KEY: ADMIN_KEY,
      },
    });
    await rm(second, { recursive: true, force: true });
    expect(code).not.toBe(0);
    expect(stderr).toContain('"other" has 8 dimensions, and the embedder makes 256');
    expect(stderr).not.toContain(KEY);
  });

  it('brings a new index in line with its database after it was killed', async () => {
    await jobEnded(server, (await train('Hours', OPENING)).job);
    await server.stop('SIGKILL');
    await standin.stop();
    standin = await startPineconeStandin({ apiKey: KEY });
    server = await startBuiltServer({ dataFolder, env: environment() });
    expect((await search('Sunday opening')).map(({ title }) => title)).toEqual(['Hours']);
    await vi.waitFor(async () => expect(await held()).toHaveLength(1), PATIENT);
    await searchByVectors('Sunday opening again');
  });
});
