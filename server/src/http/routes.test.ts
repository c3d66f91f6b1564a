import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CITATION, startTestServer, type TestServer } from './test-server.contract.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
  await server.call({ method: 'POST', url: '/v1/bots', json: { name: 'Guide' } });
});
afterAll(() => server.stop());

const get = (url: string) => server.call({ method: 'GET', url });
const post = (url: string, json?: unknown) =>
  server.call({ method: 'POST', url, ...(json === undefined ? {} : { json }) });

async function storeBot() {
  const bot = await server.store.forTenant('tnt_default').bots.get('guide');
  if (bot === null) throw new Error('no bot');
  return bot;
}

describe('system routes', () => {
  it('says that it is alive whatever its state', async () => {
    server.state = 'starting';
    expect((await get('/health')).body).toEqual({ status: 'ok' });
    server.state = 'ready';
  });

  it.each([
    ['starting', 'server_starting'],
    ['draining', 'server_draining'],
  ] as const)('while %s neither /ready nor /v1 serves, and both say when to come back', async (state, code) => {
    server.state = state;
    for (const url of ['/ready', '/v1/bots']) {
      const { status, body, headers } = await get(url);
      expect([status, body.error.code, body.error.retryable]).toEqual([503, code, true]);
      expect(Number(headers['retry-after'])).toBeGreaterThan(0);
    }
    server.state = 'ready';
  });

  it('while leaving says that it is not ready, serves all the same, and keeps no connection', async () => {
    server.state = 'leaving';
    const { status, body } = await get('/readyz');
    expect([status, body.error.code]).toEqual([503, 'server_draining']);
    const served = await get('/v1/bots');
    expect([served.status, served.headers['connection']]).toEqual([200, 'close']);
    server.state = 'ready';
    expect((await get('/v1/bots')).headers['connection']).toBe('keep-alive');
  });

  it('is not ready when the database is away', async () => {
    const broken = await startTestServer();
    await broken.store.stop();
    const { status, body } = await broken.call({ method: 'GET', url: '/ready' });
    expect([status, body.error.code]).toEqual([503, 'database_unavailable']);
    await broken.app.close();
  });

  it('gives metrics to this machine, and through a proxy only to a key with the scope', async () => {
    expect((await server.call({ method: 'GET', url: '/metrics', key: null })).text).toContain('ai_error_total');
    const proxied = { method: 'GET' as const, url: '/metrics', headers: { 'x-forwarded-for': '203.0.113.9' } };
    expect((await server.call({ ...proxied, key: null })).status).toBe(401);
    const elsewhere = { method: 'GET' as const, url: '/metrics', remoteAddress: '203.0.113.9' };
    expect((await server.call({ ...elsewhere, key: null })).status).toBe(401);
    expect((await server.call({ ...proxied, key: await server.key(['chat']) })).status).toBe(403);
    expect((await server.call({ ...proxied, key: await server.key(['metrics']) })).status).toBe(200);
  });

  it('counts requests by the pattern of the route, never by the path', async () => {
    server.counted.length = 0;
    await get('/v1/bots/some-visitor-text');
    await get('/wp-login.php');
    const labels = server.counted.map((entry) => entry.labels);
    expect(labels).toEqual([
      { method: 'GET', route: '/v1/bots/:bot', status: '404' },
      { method: 'GET', route: 'unknown', status: '404' },
    ]);
  });

  it('answers unknown routes with 404 and known ones with 405 and what is possible', async () => {
    expect((await get('/v1/nothing')).body.error.code).toBe('route_not_found');
    const wrong = await server.call({ method: 'DELETE', url: '/v1/bots' });
    expect([wrong.status, wrong.body.error.code, wrong.headers['allow']]).toEqual([
      405,
      'method_not_allowed',
      'GET, HEAD, POST, OPTIONS',
    ]);
    const options = await server.call({ method: 'OPTIONS', url: '/v1/bots', key: null });
    expect([options.status, options.headers['allow']]).toEqual([204, 'GET, HEAD, POST, OPTIONS']);
    const head = await server.call({ method: 'HEAD', url: '/v1/bots' });
    expect([head.status, head.text]).toEqual([200, '']);
    expect((await server.call({ method: 'HEAD', url: '/v1/bots', key: null })).status).toBe(401);
  });

  it('keeps a sane request id and replaces any other', async () => {
    const given = await server.call({ method: 'GET', url: '/health', headers: { 'x-request-id': 'abc-123_X' } });
    expect(given.headers['x-request-id']).toBe('abc-123_X');
    for (const id of ['a b', 'x'.repeat(65), 'ü', '<script>']) {
      const made = await server.call({ method: 'GET', url: '/nothing', headers: { 'x-request-id': id } });
      expect(made.headers['x-request-id']).toMatch(/^req_/);
      expect(made.body.error.request_id).toBe(made.headers['x-request-id']);
    }
  });

  it('sends the security headers with every answer', async () => {
    for (const url of ['/health', '/v1/bots', '/nothing', '/', '/docs']) {
      const { headers } = await get(url);
      expect(headers['x-content-type-options']).toBe('nosniff');
      expect(headers['referrer-policy']).toBe('no-referrer');
      expect(headers['content-security-policy']).toContain("frame-ancestors 'none'");
      expect(headers['content-security-policy']).not.toContain("script-src 'unsafe");
    }
  });

  it('hides what failed inside, and logs it', async () => {
    server.beforeTraining = async () => {
      throw new Error('password=hunter2 at /var/lib');
    };
    const { status, body, text } = await post('/v1/bots/guide/sources', { type: 'text', title: 'T', content: 'x' });
    server.beforeTraining = async () => {};
    expect([status, body.error.code]).toEqual([500, 'internal_error']);
    expect(text).not.toContain('hunter2');
    const logged = server.logged.filter((entry) => entry.message === 'Request failed').map((entry) => entry.fields);
    expect(logged.at(-1)).toMatchObject({ error: { message: expect.stringContaining('hunter2') } });
  });
});

describe('tenants', () => {
  it('are made, listed, renamed and deleted with all they own', async () => {
    const made = await post('/v1/tenants', { name: 'Acme' });
    expect(made.status).toBe(201);
    const { id } = made.body;
    expect((await get('/v1/tenants?order=asc')).body.data.map((tenant: { id: string }) => tenant.id)).toEqual([
      'tnt_default',
      id,
    ]);
    const renamed = await server.call({ method: 'PATCH', url: `/v1/tenants/${id}`, json: { name: 'Acme 2' } });
    expect(renamed.body.name).toBe('Acme 2');
    const within = { headers: { 'x-chatsphere-tenant': id } };
    expect((await server.call({ method: 'POST', url: '/v1/bots', json: { name: 'A' }, ...within })).status).toBe(201);
    expect((await server.call({ method: 'DELETE', url: `/v1/tenants/${id}` })).body).toEqual({
      id,
      object: 'tenant.deleted',
      deleted: true,
    });
    expect((await get(`/v1/tenants/${id}`)).body.error.code).toBe('tenant_not_found');
    expect((await server.call({ method: 'GET', url: '/v1/bots', ...within })).body.error.code).toBe('tenant_not_found');
  });

  it('are not deleted while the admin acts in them', async () => {
    const { id } = (await post('/v1/tenants', { name: 'Mine' })).body;
    const url = `/v1/tenants/${id}`;
    const headers = { 'x-chatsphere-tenant': id };
    expect((await server.call({ method: 'DELETE', url, headers })).status).toBe(400);
    expect((await server.call({ method: 'DELETE', url })).status).toBe(200);
  });

  it('are not deleted when the server needs them, whichever tenant the admin acts in', async () => {
    const { id } = (await post('/v1/tenants', { name: 'Another' })).body;
    const url = '/v1/tenants/tnt_default';
    for (const headers of [{}, { 'x-chatsphere-tenant': id }]) {
      const refused = await server.call({ method: 'DELETE', url, headers });
      expect([refused.status, refused.body.error.code]).toEqual([409, 'default_tenant_required']);
    }
    expect((await get(url)).status).toBe(200);
  });
});

describe('bots', () => {
  it('are made with all settings and given back as they were sent', async () => {
    const settings = {
      name: 'Full',
      slug: 'full-one',
      instructions: 'Be brief.',
      model: 'openai/gpt-4o-mini',
      temperature: 0.2,
      max_output_tokens: 300,
      refusal_message: 'Sorry.',
      retrieval: {
        max_num_results: 5,
        max_context_tokens: 2000,
        score_threshold: 0.1,
        hybrid: { embedding_weight: 0.4, text_weight: 0.6 },
      },
      privacy: { pii: 'off' },
      metadata: { team: 'docs', level: 3, live: true },
    };
    const made = await post('/v1/bots', settings);
    expect(made.status).toBe(201);
    expect(made.body).toMatchObject(settings);
    expect((await get('/v1/bots/full-one')).body).toEqual(made.body);
    expect((await get(`/v1/bots/${made.body.id}`)).body).toEqual(made.body);
  });

  it('get a free slug from their name, and are refused one that is taken', async () => {
    const slugs = [];
    for (let count = 0; count < 3; count += 1) slugs.push((await post('/v1/bots', { name: 'Same' })).body.slug);
    expect(slugs).toEqual(['same', 'same-2', 'same-3']);
    const taken = await post('/v1/bots', { name: 'Same', slug: 'same' });
    expect([taken.status, taken.body.error.code, taken.body.error.param]).toEqual([409, 'slug_taken', 'slug']);
    const moved = await server.call({ method: 'PATCH', url: '/v1/bots/same-2', json: { slug: 'same' } });
    expect([moved.status, moved.body.error.code]).toEqual([409, 'slug_taken']);
  });

  it('change only in what is named, and null takes a setting back', async () => {
    await post('/v1/bots', { name: 'Change', slug: 'change', instructions: 'Old', temperature: 1 });
    const changed = await server.call({
      method: 'PATCH',
      url: '/v1/bots/change',
      json: { name: 'Changed', instructions: null },
    });
    expect(changed.body).toMatchObject({ name: 'Changed', slug: 'change', instructions: null, temperature: 1 });
  });

  it('do not seem to protect what they do not', async () => {
    const { status, body } = await post('/v1/bots', { name: 'P', privacy: { pii: 'mask' } });
    expect([status, body.error.param]).toEqual([400, 'privacy.pii']);
  });

  it('are listed page by page in both directions', async () => {
    const all = (await get('/v1/bots?order=asc&limit=100')).body;
    const ids: string[] = all.data.map((bot: { id: string }) => bot.id);
    const first = (await get('/v1/bots?order=asc&limit=2')).body;
    expect([first.first_id, first.last_id, first.has_more]).toEqual([ids[0], ids[1], true]);
    const next = (await get(`/v1/bots?order=asc&limit=2&after=${ids[1]}`)).body;
    expect(next.first_id).toBe(ids[2]);
    const back = (await get(`/v1/bots?order=asc&limit=2&before=${ids[2]}`)).body;
    expect([back.first_id, back.last_id]).toEqual([ids[0], ids[1]]);
  });

  it('are deleted', async () => {
    const { body } = await post('/v1/bots', { name: 'Gone' });
    expect((await server.call({ method: 'DELETE', url: '/v1/bots/gone' })).body).toEqual({
      id: body.id,
      object: 'bot.deleted',
      deleted: true,
      receipt: { sources: 0, documents: 0, chunks: 0, vectors: 0, files: 0 },
    });
    expect((await get('/v1/bots/gone')).body.error.code).toBe('bot_not_found');
  });
});

describe('sources', () => {
  it('are made from text and from questions with answers', async () => {
    const text = { type: 'text', title: 'T', content: 'Some text', external_key: 'k1', metadata: { lang: 'en' } };
    const made = await post('/v1/bots/guide/sources', text);
    expect(made.status).toBe(202);
    expect(made.body).toMatchObject({ object: 'source', type: 'text', external_key: 'k1', metadata: { lang: 'en' } });
    const items = [{ question: 'Why?', answer: 'Because.' }];
    expect((await post('/v1/bots/guide/sources', { type: 'qa', items })).status).toBe(202);
    expect(server.trained.at(-1)?.content).toEqual({ type: 'qa', items });
  });

  it('of the web are handed over with what is to be fetched, and when', async () => {
    await post('/v1/bots/guide/sources', { type: 'url', url: 'https://example.com/a', sync_interval_seconds: 3600 });
    expect(server.trained.at(-1)?.content).toEqual({
      type: 'url',
      url: 'https://example.com/a',
      syncIntervalMs: 3_600_000,
    });
    const crawl = { url: 'https://example.com', include: ['/docs'], exclude: ['*.pdf'], max_pages: 7 };
    await post('/v1/bots/guide/sources', { type: 'crawl', ...crawl, sync_interval_seconds: null });
    expect(server.trained.at(-1)?.content).toEqual({
      type: 'crawl',
      url: 'https://example.com',
      include: ['/docs'],
      exclude: ['*.pdf'],
      maxPages: 7,
      syncIntervalMs: null,
    });
    const often = await post('/v1/bots/guide/sources', { type: 'sitemap', ...crawl, sync_interval_seconds: 10 });
    expect([often.status, often.body.error.param]).toEqual([400, 'sync_interval_seconds']);
  });

  it('are put by key: created, unchanged, replaced', async () => {
    const put = (content: string) =>
      server.call({
        method: 'PUT',
        url: `/v1/bots/guide/sources/by-key/${encodeURIComponent('docs/a b/ü.md')}`,
        json: { type: 'text', title: 'T', content },
      });
    const created = await put('one');
    expect([created.status, created.body.external_key]).toEqual([202, 'docs/a b/ü.md']);
    expect((await put('one')).status).toBe(200);
    expect((await put('two')).status).toBe(202);
  });

  it('are listed, read, trained again and deleted', async () => {
    const { id } = (await post('/v1/bots/guide/sources', { type: 'text', title: 'X', content: 'x' })).body;
    expect((await get('/v1/bots/guide/sources')).body.data.map((source: { id: string }) => source.id)).toContain(id);
    expect((await get(`/v1/bots/guide/sources/${id}`)).body.title).toBe('X');
    expect((await post(`/v1/bots/guide/sources/${id}/sync`)).status).toBe(202);
    const removed = await server.call({ method: 'DELETE', url: `/v1/bots/guide/sources/${id}` });
    expect(removed.body).toEqual({
      id,
      object: 'source.deleted',
      deleted: true,
      receipt: { sources: 1, documents: 0, chunks: 0, vectors: 0, files: 0 },
    });
    expect((await get(`/v1/bots/guide/sources/${id}`)).body.error.code).toBe('source_not_found');
  });
});

describe('documents', () => {
  it('show their text and their chunks', async () => {
    const bot = await storeBot();
    const { id: sourceId } = (await post('/v1/bots/guide/sources', { type: 'text', title: 'D', content: 'x' })).body;
    const tenant = server.store.forTenant('tnt_default');
    const text = 'Hello world';
    await tenant.documents.add(bot.id, sourceId, {
      document: {
        id: 'doc_d1',
        title: 'D',
        url: null,
        inputName: 'd.md',
        state: 'searchable',
        lastError: null,
        contentHash: 'ab',
        text,
        tokens: 2,
      },
      chunks: [
        { id: 'chk_d1', position: 0, start: 0, end: 11, text, headingPath: ['A'], page: null, tokens: 2, hash: 'cd' },
        { id: 'chk_d2', position: 1, start: 0, end: 11, text, headingPath: ['A'], page: null, tokens: 2, hash: 'ef' },
      ],
    });
    const listed = (await get(`/v1/bots/guide/sources/${sourceId}/documents`)).body.data;
    expect(listed).toHaveLength(1);
    expect(listed[0]).not.toHaveProperty('text');
    expect((await get('/v1/documents/doc_d1')).body).toMatchObject({ text, status: 'searchable', source_id: sourceId });
    expect((await get('/v1/documents/doc_d1/chunks')).body.data[0]).toMatchObject({ id: 'chk_d1', start: 0, end: 11 });
    const idsOf = async (query: string): Promise<string[]> =>
      (await get(`/v1/documents/doc_d1/chunks${query}`)).body.data.map(({ id }: { id: string }) => id);
    expect(await idsOf('')).toEqual(['chk_d1', 'chk_d2']);
    expect(await idsOf('?after=chk_d1')).toEqual(['chk_d2']);
    expect(await idsOf('?order=desc')).toEqual(['chk_d2', 'chk_d1']);
    expect((await get('/v1/documents/doc_none')).body.error.code).toBe('document_not_found');
  });
});

describe('jobs', () => {
  async function addJob(id: string, state: 'queued' | 'running' | 'failed' | 'succeeded') {
    const bot = await storeBot();
    const { id: sourceId } = (await post('/v1/bots/guide/sources', { type: 'text', title: id, content: id })).body;
    const { jobs, sources } = server.store.forTenant('tnt_default');
    await jobs.create({
      id,
      botId: bot.id,
      sourceId,
      kind: 'train',
      state,
      stage: 'loading',
      priority: 1,
      progress: { done: 0, total: 1 },
      attempts: 1,
      maxAttempts: 3,
      lease: null,
      fencingToken: 1,
      lastError: state === 'failed' ? { code: 'parse_failed', message: 'Damaged.' } : null,
      cancelRequested: false,
      runAt: 1000,
      deadlineAt: 9000,
      payload: {},
      createdAt: 1000,
      updatedAt: 1000,
      finishedAt: state === 'failed' || state === 'succeeded' ? 2000 : null,
    });
    await sources.update(sourceId, { jobId: id, status: state === 'failed' ? 'failed' : 'queued', updatedAt: 1000 });
    return { sourceId, url: `/v1/jobs/${id}` };
  }

  it('are listed by state, bot and source, and run again together', async () => {
    const failed = await addJob('job_l1', 'failed');
    await addJob('job_l2', 'failed');
    const { sourceId } = await addJob('job_l3', 'failed');
    await addJob('job_l4', 'queued');
    const ids = async (query: string) =>
      (await get(`/v1/jobs?order=asc&${query}`)).body.data.map(({ id }: { readonly id: string }) => id);
    expect(await ids('')).toEqual(expect.arrayContaining(['job_l1', 'job_l4']));
    expect(await ids('state=failed&bot=guide&kind=train')).toEqual(['job_l1', 'job_l2', 'job_l3']);
    expect(await ids(`source=${sourceId}`)).toEqual(['job_l3']);
    expect(await ids('state=succeeded&bot=guide')).toEqual([]);
    expect((await get('/v1/jobs?state=failed&limit=1')).body).toMatchObject({
      object: 'list',
      has_more: true,
      data: [{ last_error: { code: 'parse_failed' }, attempts: 1, stage: 'loading', waiting_for: null }],
    });
    expect((await get('/v1/jobs?state=odd')).status).toBe(400);
    expect((await get('/v1/jobs?bot=nobody')).body.error.code).toBe('bot_not_found');
    await server.store.forTenant('tnt_default').sources.update(sourceId, { jobId: 'job_newer', updatedAt: 1 });
    expect((await post('/v1/jobs/retry', { state: 'failed', code: 'other' })).body).toMatchObject({ retried: 0 });
    const retried = await post('/v1/jobs/retry', { state: 'failed', bot: 'guide', code: 'parse_failed' });
    expect(retried.body).toEqual({ object: 'job.retries', retried: 2, skipped: 1, has_more: false });
    expect(server.announced).toEqual(expect.arrayContaining(['job_l1', 'job_l2']));
    expect((await get(failed.url)).body).toMatchObject({ status: 'queued', waiting_for: { reason: 'worker' } });
  });

  it('say what they wait for', async () => {
    const { url } = await addJob('job_w1', 'queued');
    const { workers } = server.store.system;
    const worker = { id: 'w', host: 'h', pid: 7, places: 8, running: 1, startedAt: 1000 };
    await workers.beat({ ...worker, seenAt: Date.now() - 60_000 });
    expect((await get(url)).body.waiting_for.reason).toBe('worker');
    expect((await get('/ready')).body).toEqual({ status: 'ready', workers_alive: 0 });
    await workers.beat({ ...worker, seenAt: Date.now() });
    expect((await get(url)).body.waiting_for.reason).toBe('turn');
    const { body } = await get('/v1/workers');
    expect(body.data).toMatchObject([{ id: 'w', object: 'worker', pid: 7, alive: true, running: 1 }]);
    expect(body.waiting.jobs).toBeGreaterThan(0);
    const { jobs } = server.store.system;
    const claim = { owner: 'w', kinds: ['train'], now: Date.now(), leaseMs: 1000, maxPriority: null };
    let job = await jobs.claim(claim);
    while (job !== null && job.id !== 'job_w1') job = await jobs.claim(claim);
    const lease = { jobId: 'job_w1', fencingToken: job?.fencingToken ?? 0 };
    const error = { code: 'provider_unreachable', message: 'Away.' };
    await jobs.release(lease, { type: 'retry', error, runAt: Date.now() + 60_000 }, Date.now());
    expect((await get(url)).body.waiting_for.reason).toBe('retry');
  });

  it('are read and cancelled, and ended ones are not', async () => {
    const { url } = await addJob('job_c1', 'queued');
    expect((await get(url)).body).toMatchObject({ object: 'job', status: 'queued', deadline_at: 9 });
    expect((await post(`${url}/cancel`)).body.status).toBe('cancelled');
    expect(server.announced).toContain('job_c1');
    const again = await post(`${url}/cancel`);
    expect([again.status, again.body.error.code]).toEqual([409, 'job_not_cancellable']);
  });

  it('that failed are run again, with their source', async () => {
    const { url, sourceId } = await addJob('job_r1', 'failed');
    expect((await post(`${url}/retry`)).body).toMatchObject({ status: 'queued', last_error: null });
    expect((await get(`/v1/bots/guide/sources/${sourceId}`)).body).toMatchObject({
      status: 'queued',
      last_error: null,
    });
    expect(server.announced).toContain('job_r1');
    expect((await post(`${url}/retry`)).body.error.code).toBe('job_not_retryable');
  });

  it('of a source that has a newer job are not run again', async () => {
    const { url, sourceId } = await addJob('job_r2', 'failed');
    await server.store.forTenant('tnt_default').sources.update(sourceId, { jobId: 'job_newer', updatedAt: 1 });
    expect((await post(`${url}/retry`)).body.error.code).toBe('job_not_retryable');
    expect((await get(url)).body.status).toBe('failed');
  });

  it('are followed until they end', async () => {
    const { url } = await addJob('job_e1', 'queued');
    const following = get(`${url}/events`);
    await post(`${url}/cancel`);
    const { status, text, headers } = await following;
    expect(status).toBe(200);
    expect(headers['content-type']).toContain('text/event-stream');
    const events = text.trim().split('\n\n');
    expect(events[0]).toMatch(/^id: 1\nevent: job\ndata: \{/);
    expect(JSON.parse(events.at(-1)?.split('data: ')[1] ?? '').status).toBe('cancelled');
    expect((await get('/v1/jobs/job_none/events')).status).toBe(404);
  });
});

describe('search', () => {
  it('passes on what was asked and answers with passages', async () => {
    const { status, body } = await post('/v1/bots/guide/search', {
      query: 'hello',
      max_num_results: 3,
      filters: {
        type: 'or',
        filters: [
          { type: 'in', key: 'lang', value: ['en'] },
          { type: 'gt', key: 'n', value: 1 },
        ],
      },
      ranking_options: { ranker: 'auto', score_threshold: 0.2, hybrid: { embedding_weight: 0.3, text_weight: 0.7 } },
      rewrite_query: true,
      messages: [{ role: 'user', content: 'Before' }],
    });
    expect(status).toBe(200);
    expect(body).toMatchObject({ object: 'search_results.page', search_query: 'hello', degraded: ['lexical_search'] });
    expect(body.data[0]).toMatchObject({ chunk_id: 'chk_1', score: 0.8, scores: { dense: 0.5, lexical: null } });
    expect(server.searched.at(-1)).toMatchObject({
      query: 'hello',
      maxNumResults: 3,
      scoreThreshold: 0.2,
      hybrid: { embeddingWeight: 0.3, textWeight: 0.7 },
      messages: [{ role: 'user', content: 'Before' }],
    });
  });
});

describe('embeddings', () => {
  it('come as numbers and as base64', async () => {
    const numbers = await post('/v1/embeddings', { model: 'local/static-en', input: 'x' });
    expect(numbers.body.data[0].embedding).toEqual([1, 0.5, -0.25]);
    expect(numbers.body.usage).toEqual({ prompt_tokens: 1, total_tokens: 1 });
    const coded = await post('/v1/embeddings', {
      model: 'local/static-en',
      input: ['x', 'y'],
      encoding_format: 'base64',
    });
    const bytes = Buffer.from(coded.body.data[1].embedding, 'base64');
    expect([0, 4, 8].map((offset) => bytes.readFloatLE(offset))).toEqual([1, 0.5, -0.25]);
    await server.ledger.flush();
    const usage = await server.store.forTenant('tnt_default').usage.list({ limit: 10, order: 'asc' });
    expect(usage.items.map((row) => [row.kind, row.inputTokens])).toEqual([
      ['embedding', 1],
      ['embedding', 2],
    ]);
  });

  it('do not pretend to be of another model, nor of more dimensions', async () => {
    const other = await post('/v1/embeddings', { model: 'text-embedding-3-small', input: 'x' });
    expect([other.status, other.body.error.code, other.body.error.param]).toEqual([404, 'model_not_found', 'model']);
    const wide = await post('/v1/embeddings', { model: 'local/static-en', input: 'x', dimensions: 4 });
    expect([wide.status, wide.body.error.param]).toEqual([400, 'dimensions']);
  });
});

describe('models', () => {
  it('are the bots by slug, and the embedder, by any of their names', async () => {
    const { id } = await storeBot();
    const listed = (await get('/v1/models')).body.data.map((model: { id: string }) => model.id);
    expect(listed).toContain('guide');
    expect(listed.at(-1)).toBe('local/static-en');
    for (const name of ['guide', id, 'local/static-en', 'local%2Fstatic-en']) {
      expect((await get(`/v1/models/${name}`)).body).toMatchObject({ id: decodeURIComponent(name), object: 'model' });
    }
    expect((await get('/v1/models/none')).body.error.code).toBe('model_not_found');
  });
});

describe('conversations', () => {
  it('are listed by bot and by person, read, and deleted with their messages', async () => {
    const bot = await storeBot();
    const tenant = server.store.forTenant('tnt_default');
    const times = { createdAt: 5000, updatedAt: 6000 };
    for (const [id, endUser] of [
      ['conv_1', 'ann'],
      ['conv_2', 'ben'],
    ] as const) {
      const start = { title: 'Hi', summary: null, summarizedThrough: null, summarizedAt: null, metadata: {} };
      await tenant.conversations.create({ id, botId: bot.id, endUser, ...start, ...times });
    }
    await tenant.messages.append({
      id: 'msg_1',
      botId: bot.id,
      conversationId: 'conv_1',
      role: 'assistant',
      content: 'Hello [1]',
      status: 'complete',
      citations: [CITATION],
      grounded: true,
      servedBy: 'local/extractive',
      createdAt: 5000,
    });
    expect((await get('/v1/conversations?bot=guide&user=ann')).body.data).toMatchObject([
      { id: 'conv_1', user: 'ann' },
    ]);
    expect((await get('/v1/conversations/conv_2')).body).toMatchObject({ created_at: 5, updated_at: 6 });
    const messages = (await get('/v1/conversations/conv_1/messages')).body.data;
    expect(messages[0]).toMatchObject({ content: 'Hello [1]', citations: [{ quote: 'Hello', chunk_id: 'chk_1' }] });
    const deleted = await server.call({ method: 'DELETE', url: '/v1/conversations/conv_1' });
    expect(deleted.body.object).toBe('conversation.deleted');
    expect((await get('/v1/conversations/conv_1/messages')).body.error.code).toBe('conversation_not_found');
  });
});

describe('API keys', () => {
  it('are made, shown without their secret, and revoked at once', async () => {
    const json = {
      name: 'Site',
      scopes: ['chat'],
      bots: ['guide'],
      limits: { requests_per_minute: 10 },
      expires_at: 4_000_000_000,
    };
    const made = await post('/v1/api_keys', json);
    const bot = await storeBot();
    expect(made.status).toBe(201);
    expect(made.body).toMatchObject({ name: 'Site', bots: [bot.id], limits: json.limits, expires_at: 4_000_000_000 });
    const { secret, id } = made.body;
    const listed = await get('/v1/api_keys');
    expect(listed.body.data[0].id).toBe(id);
    expect(listed.text).not.toContain(secret);
    expect((await server.call({ method: 'GET', url: '/v1/models', key: secret })).status).toBe(200);
    expect((await server.call({ method: 'DELETE', url: `/v1/api_keys/${id}` })).body.object).toBe('api_key.deleted');
    expect((await server.call({ method: 'GET', url: '/v1/models', key: secret })).status).toBe(401);
    const again = await server.call({ method: 'DELETE', url: '/v1/api_keys/key_none' });
    expect(again.body.error.code).toBe('api_key_not_found');
  });
});
