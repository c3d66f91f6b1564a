import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestServer, type TestServer } from './test-server.contract.ts';

const hashOf = (text: string): string => createHash('sha256').update(text).digest('hex');
const entry = (key: string, text = key) => ({ external_key: key, content_hash: hashOf(text) });

describe('sync runs over HTTP', () => {
  let server: TestServer;
  const url = '/v1/bots/synced/sync_runs';
  const post = (path: string, json?: unknown) => server.call({ method: 'POST', url: path, json });
  beforeAll(async () => {
    server = await startTestServer();
    await post('/v1/bots', { name: 'Synced', slug: 'synced' });
  });
  afterAll(() => server.stop());

  it('plan, take many files in one form, and commit', async () => {
    const opened = await post(url, { manifest: [entry('docs/a.md'), entry('docs/ü b.md'), entry('late.md')] });
    expect(opened.status).toBe(201);
    expect(opened.body).toMatchObject({
      id: expect.stringMatching(/^syn_/),
      object: 'sync_run',
      status: 'open',
      prune: false,
      plan: { upload: ['docs/a.md', 'docs/ü b.md', 'late.md'], unchanged: 0, delete: [] },
      unsettled: [],
    });
    const { id } = opened.body;
    const form = new FormData();
    for (const name of ['docs/a.md', 'docs/ü b.md', 'stray.md']) form.append('file', new Blob([name]), name);
    const request = new Request('http://host', { method: 'POST', body: form });
    const uploaded = await server.call({
      method: 'POST',
      url: `${url}/${id}/sources`,
      headers: { 'content-type': request.headers.get('content-type') ?? '' },
      payload: Buffer.from(await request.arrayBuffer()),
    });
    expect(uploaded.status).toBe(202);
    expect(uploaded.body.data.map((item: Record<string, unknown>) => [item['external_key'], item['status']])).toEqual([
      ['docs/a.md', 'created'],
      ['docs/ü b.md', 'created'],
      ['stray.md', 'refused'],
    ]);
    expect(uploaded.body.data[1].source.external_key).toBe('docs/ü b.md');
    const early = await post(`${url}/${id}/commit`);
    expect(early.body.error).toMatchObject({ code: 'sync_run_incomplete' });
    expect(early.status).toBe(409);
    expect((await post(`${url}/${id}/commit`, { skip: ['late.md'] })).body).toMatchObject({
      status: 'committed',
      counts: { uploaded: 2, skipped: 1 },
    });
  });

  it('are listed, read and cancelled', async () => {
    const { body } = await post(url, { manifest: [], prune: true, prefix: 'x/' });
    const listed = await server.call({ method: 'GET', url: `${url}?limit=1` });
    expect(listed.body.data).toMatchObject([{ id: body.id, prefix: 'x/' }]);
    expect(listed.body.data[0].plan).toBeUndefined();
    expect((await post(`${url}/${body.id}/cancel`)).body.status).toBe('cancelled');
    expect((await server.call({ method: 'GET', url: `${url}/${body.id}` })).body.status).toBe('cancelled');
    expect((await post(`${url}/${body.id}/commit`)).body.error.code).toBe('sync_run_closed');
    expect((await post(`${url}/syn_none/commit`)).body.error.code).toBe('sync_run_not_found');
  });

  it('stand beside a list of duplicates', async () => {
    const { documents, sources } = server.store.forTenant('tnt_default');
    const { body: bot } = await post('/v1/bots', { name: 'Twice', slug: 'twice' });
    for (const key of ['one', 'two', 'three']) {
      const { body } = await post('/v1/bots/twice/sources', {
        type: 'text',
        title: key,
        content: key,
        external_key: key,
      });
      const about = { url: null, inputName: key, state: 'searchable' as const, lastError: null, tokens: 1 };
      const text = key === 'three' ? 'other' : 'same';
      await documents.add(bot.id, body.id, {
        document: { id: `doc_${key}`, title: key, text, contentHash: text, ...about },
        chunks: [],
      });
    }
    const answer = await server.call({ method: 'GET', url: '/v1/bots/twice/duplicates' });
    expect(answer.body).toMatchObject({
      object: 'list',
      has_more: false,
      data: [{ id: 'doc_one', object: 'duplicate_group', count: 2, similarity: 1 }],
    });
    const keys = answer.body.data[0].documents.map((document: Record<string, unknown>) => document['external_key']);
    expect(keys).toEqual(['one', 'two']);
    await sources.delete(bot.id, answer.body.data[0].documents[0].source_id);
    expect((await server.call({ method: 'GET', url: '/v1/bots/twice/duplicates' })).body.data).toEqual([]);
  });

  it.each([
    ['a key twice', { manifest: [entry('a'), entry('b'), entry('a')] }, 'manifest[2].external_key'],
    [
      'a key outside of the prefix',
      { manifest: [entry('docs/a'), entry('b')], prefix: 'docs/' },
      'manifest[1].external_key',
    ],
    ['a hash that is none', { manifest: [{ external_key: 'a', content_hash: 'ABC' }] }, 'manifest[0].content_hash'],
    ['no manifest', {}, 'manifest'],
  ])('refuse %s', async (_, body, param) => {
    const answer = await post(url, body);
    expect(answer.status).toBe(400);
    expect(answer.body.error).toMatchObject({ code: 'invalid_request', param });
  });
});
