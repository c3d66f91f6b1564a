import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeWithRedis, startTestRedis, type TestRedis } from '../src/adapters/redis/redis-server.contract.ts';
import { ADMIN_KEY, type BuiltServer, callServer, jobEnded, startBuiltServer } from './built-server.ts';

describeWithRedis('a server with BullMQ', () => {
  let redis: TestRedis;
  let server: BuiltServer;
  beforeAll(async () => {
    redis = await startTestRedis();
    const env = { REDIS_URL: redis.url, REDIS_TIMEOUT_MS: '1000', EMBEDDING_FOLLOWER: 'off', LOG_LEVEL: 'silent' };
    server = await startBuiltServer({ env });
    await callServer(server, { path: '/v1/bots', json: { name: 'Queues', slug: 'queues' } });
  });
  afterAll(async () => {
    if (server?.child.exitCode === null) await server.stop();
    await redis?.stop();
  });

  const train = async (title: string): Promise<unknown> => {
    const json = { type: 'text', title, content: `The ${title} opens at nine.` };
    const { status, body } = await callServer(server, { path: '/v1/bots/queues/sources', json });
    expect(status).toBe(202);
    await jobEnded(server, String(body['job_id']));
    return (await callServer(server, { path: `/v1/bots/queues/sources/${String(body['id'])}` })).body['status'];
  };
  const get = (path: string, authorization?: string): Promise<Response> =>
    fetch(`${server.url}${path}`, {
      headers: authorization === undefined ? {} : { authorization },
      redirect: 'manual',
    });
  const basic = (password: string): string => `Basic ${Buffer.from(`admin:${password}`).toString('base64')}`;

  it('trains, and says how many announcements there are', async () => {
    expect(await train('library')).toBe('ready');
    const metrics = await (await get('/metrics')).text();
    expect(metrics).toMatch(/chatsphere_announcements_total\{outcome="sent"\} [1-9]/);
    expect(metrics).toMatch(/chatsphere_queue_announcements\{state="waiting"\} \d/);
  });

  it('shows the board of the queue to who has the admin key, and to nobody else', async () => {
    const asked = await get('/admin/queues/');
    expect(asked.status).toBe(401);
    expect(asked.headers.get('www-authenticate')).toContain('Basic');
    expect((await get('/admin/queues/', basic('wrong'))).status).toBe(401);
    const json = { name: 'No admin', scopes: ['bots:read', 'sources:read', 'metrics'] };
    const { body } = await callServer(server, { path: '/v1/api_keys', json });
    expect((await get('/admin/queues/', basic(String(body['secret'])))).status).toBe(403);

    expect((await get('/admin/queues', basic(ADMIN_KEY))).headers.get('location')).toBe('/admin/queues/');
    for (const authorization of [basic(ADMIN_KEY), `Bearer ${ADMIN_KEY}`]) {
      const page = await get('/admin/queues/', authorization);
      expect(page.status).toBe(200);
      expect(page.headers.get('content-security-policy')).toMatch(/default-src 'none'.*script-src 'self'/);
      expect(page.headers.get('content-security-policy')).not.toContain('unsafe');
      expect(await page.text()).toContain('ChatSphere queues');
    }
    const queues = await get('/admin/queues/api/queues', basic(ADMIN_KEY));
    expect(await queues.json()).toMatchObject({ queues: [{ name: 'jobs', readOnlyMode: true }] });
    const emptied = await fetch(`${server.url}/admin/queues/api/queues/jobs/empty`, {
      method: 'PUT',
      headers: { authorization: basic(ADMIN_KEY) },
    });
    expect(emptied.status).toBe(405);
  });

  it('trains on while Redis is gone, and when it is back empty', async () => {
    await redis.stop();
    expect(await train('museum')).toBe('ready');
    await redis.start();
    expect(await train('zoo')).toBe('ready');
  }, 60_000);

  it('stops while Redis is gone', async () => {
    await redis.stop();
    expect(await server.stop()).toBe(0);
  });
});
