import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  describeWithPostgres,
  startTestPostgres,
  type TestPostgres,
} from '../src/adapters/postgres/postgres-server.contract.ts';
import { type BuiltServer, callServer, jobEnded, startBuiltServer } from './built-server.ts';

const SECRET = 'a secret of the tests, long enough to be one';

describeWithPostgres('the built server on PostgreSQL', () => {
  let database: TestPostgres;
  let server: BuiltServer;
  let env: Record<string, string>;
  beforeAll(async () => {
    database = await startTestPostgres();
    env = { DATABASE_URL: database.url, CHATSPHERE_SECRET: SECRET, EMBEDDING_FOLLOWER: 'off' };
    server = await startBuiltServer({ env });
  }, 180_000);
  afterAll(async () => {
    await server?.stop();
    await database?.remove();
  });

  const train = async (bot: string, title: string, content: string) => {
    const { status, body } = await callServer(server, {
      path: `/v1/bots/${bot}/sources`,
      json: { type: 'text', title, content },
    });
    expect(status).toBe(202);
    await jobEnded(server, String(body['job_id']));
    return String(body['id']);
  };

  it('trains, finds, answers with checked citations, and forgets what is deleted', { timeout: 180_000 }, async () => {
    await callServer(server, { path: '/v1/bots', json: { name: 'Drinks', slug: 'drinks' } });
    const source = await train('drinks', 'Tea', '# Green tea\n\nGreen tea is steeped at 75 degrees for two minutes.\n');
    const path = `/v1/bots/drinks/sources/${source}`;
    expect((await callServer(server, { path })).body).toMatchObject({ status: 'ready', counts: { documents: 1 } });
    const question = 'At what temperature is green tea steeped?';
    const search = () => callServer(server, { path: '/v1/bots/drinks/search', json: { query: question } });
    expect((await search()).body['data']).toMatchObject([{ source_id: source }]);
    const answer = await callServer(server, {
      path: '/v1/chat/completions',
      json: { model: 'drinks', messages: [{ role: 'user', content: question }] },
    });
    expect(JSON.stringify(answer.body)).toContain('75 degrees');
    expect((await callServer(server, { method: 'DELETE', path })).status).toBe(200);
    expect((await search()).body['data']).toEqual([]);
  });

  it('starts again on what is there', { timeout: 180_000 }, async () => {
    const before = await callServer(server, { path: '/v1/bots' });
    await server.stop();
    server = await startBuiltServer({ env });
    expect((await callServer(server, { path: '/v1/bots' })).body['data']).toEqual(before.body['data']);
  });

  it('says 503 while the database is restarted, and goes on by itself', async () => {
    const status = async (path: string) => (await fetch(`${server.url}${path}`)).status;
    await database.stop('fast');
    const { status: refused, body } = await callServer(server, { path: '/v1/bots' });
    expect([refused, (body['error'] as { code: string }).code]).toEqual([503, 'database_unavailable']);
    expect([await status('/ready'), await status('/health')]).toEqual([503, 200]);
    await database.start();
    const startedAt = performance.now();
    while ((await callServer(server, { path: '/v1/bots' })).status !== 200) {
      expect(performance.now() - startedAt).toBeLessThan(5_000);
    }
    expect(await status('/ready')).toBe(200);
  });

  describe('two processes', () => {
    let other: BuiltServer;
    beforeAll(async () => {
      other = await startBuiltServer({ env });
    }, 180_000);
    afterAll(async () => {
      await other?.stop();
    });

    it('show each other what they did', async () => {
      await callServer(other, { path: '/v1/bots', json: { name: 'Shared', slug: 'shared' } });
      expect((await callServer(server, { path: '/v1/bots/shared' })).status).toBe(200);
      await callServer(other, { method: 'PATCH', path: '/v1/bots/shared', json: { instructions: 'Be brief.' } });
      expect((await callServer(server, { path: '/v1/bots/shared' })).body['instructions']).toBe('Be brief.');
    });
  });
});
