import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { API_KEY_SCOPES, type ApiKeyScope } from '../store/index.ts';
import { ROUTE_ACCESS } from './route-access.ts';
import { startTestServer, type TestServer } from './test-server.contract.ts';

const routes = Object.entries(ROUTE_ACCESS).map(([route, access]) => {
  const [method = '', pattern = ''] = route.split(' ');
  return { route, method: method as 'GET', pattern, access };
});
const protectedRoutes = routes.filter(({ access }) => access.type !== 'public');

/** A body that passes the check of its shape, so that what is tested is who may send it. */
const BODIES: Readonly<Record<string, unknown>> = {
  'POST /v1/tenants': { name: 'T' },
  'PATCH /v1/tenants/:id': { name: 'T' },
  'POST /v1/bots': { name: 'B' },
  'PATCH /v1/bots/:bot': {},
  'POST /v1/bots/:bot/sources': { type: 'text', title: 'T', content: 'x' },
  'PUT /v1/bots/:bot/sources/by-key/:external_key': { type: 'text', title: 'T', content: 'x' },
  'POST /v1/bots/:bot/sync_runs': { manifest: [] },
  'POST /v1/bots/:bot/golden_questions': { question: 'x', expected_text: 'x' },
  'POST /v1/bots/:bot/search': { query: 'x' },
  'POST /v1/bots/:bot/chat': { messages: [{ role: 'user', parts: [{ type: 'text', text: 'x' }] }] },
  'POST /v1/chat/completions': { model: 'BOT', messages: [{ role: 'user', content: 'x' }] },
  'POST /v1/bots/:bot/prompt_preview': { question: 'x' },
  'POST /v1/embeddings': { model: 'local/static-en', input: 'x' },
  'POST /v1/api_keys': { name: 'k', scopes: ['keys'] },
};

interface Ids {
  readonly bot: string;
  readonly source: string;
  readonly document: string;
  readonly job: string;
  readonly conversation: string;
  readonly key: string;
  readonly tenant: string;
}

/** The id that belongs into a pattern, by what stands before it. */
function fillIn(pattern: string, ids: Ids): string {
  const id = pattern.includes('/sources/')
    ? ids.source
    : ({
        documents: ids.document,
        jobs: ids.job,
        conversations: ids.conversation,
        api_keys: ids.key,
        tenants: ids.tenant,
      }[pattern.split('/')[2] ?? ''] ?? ids.bot);
  return pattern.replace(':bot', ids.bot).replace(':external_key', 'k').replace(':id', id).replace('*', id);
}

let server: TestServer;
let own: Ids;
let foreign: Ids;
const keys = new Map<ApiKeyScope, string>();

async function fillTenant(tenant: string, mark: string): Promise<Ids> {
  const headers = { 'x-chatsphere-tenant': tenant };
  const bot = (await server.call({ method: 'POST', url: '/v1/bots', json: { name: mark, slug: mark }, headers })).body
    .id;
  const text = { type: 'text', title: 'T', content: `canary-${mark}` };
  const source = (await server.call({ method: 'POST', url: `/v1/bots/${bot}/sources`, json: text, headers })).body.id;
  const store = server.store.forTenant(tenant);
  const content = `canary-${mark}`;
  await store.documents.add(bot, source, {
    document: {
      id: `doc_${mark}`,
      title: mark,
      url: null,
      inputName: 'a',
      state: 'searchable',
      lastError: null,
      contentHash: 'a',
      text: content,
      tokens: 1,
    },
    chunks: [],
  });
  await store.jobs.create({
    id: `job_${mark}`,
    botId: bot,
    sourceId: source,
    kind: 'train',
    state: 'succeeded',
    stage: 'loading',
    priority: 1,
    progress: { done: 1, total: 1 },
    attempts: 1,
    maxAttempts: 1,
    lease: null,
    fencingToken: 1,
    lastError: null,
    cancelRequested: false,
    runAt: 1,
    deadlineAt: 1,
    payload: {},
    createdAt: 1,
    updatedAt: 1,
    finishedAt: 1,
  });
  await store.conversations.create({
    id: `conv_${mark}`,
    botId: bot,
    endUser: null,
    title: content,
    summary: null,
    summarizedThrough: null,
    summarizedAt: null,
    metadata: {},
    createdAt: 1,
    updatedAt: 1,
  });
  const key = (
    await server.call({ method: 'POST', url: '/v1/api_keys', json: { name: content, scopes: ['chat'] }, headers })
  ).body.id;
  return { bot, source, document: `doc_${mark}`, job: `job_${mark}`, conversation: `conv_${mark}`, key, tenant };
}

beforeAll(async () => {
  server = await startTestServer();
  const other = (await server.call({ method: 'POST', url: '/v1/tenants', json: { name: 'Other' } })).body.id;
  own = await fillTenant('tnt_default', 'own');
  foreign = await fillTenant(other, 'foreign');
  for (const scope of API_KEY_SCOPES) keys.set(scope, await server.key([scope]));
});
afterAll(() => server.stop());

function request(route: (typeof routes)[number], ids: Ids) {
  const json = JSON.parse(JSON.stringify(BODIES[route.route] ?? null).replace('BOT', ids.bot));
  return { method: route.method, url: fillIn(route.pattern, ids), ...(json === null ? {} : { json }) };
}

describe('every route', () => {
  it('of the application is in the table, and the other way round', async () => {
    const document = (await server.call({ method: 'GET', url: '/openapi.json' })).body;
    const described = Object.entries<object>(document.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path.replace(/\{(\w+)\}/g, ':$1')}`),
    );
    const hidden = new Set([
      'GET /',
      'GET /admin/queues',
      'GET /admin/queues/*',
      'GET /assets/:file',
      'GET /openapi.json',
      'GET /docs/errors',
      'GET /v1/models/*',
    ]);
    expect(described.sort()).toEqual(
      Object.keys(ROUTE_ACCESS)
        .filter((route) => !hidden.has(route))
        .sort(),
    );
  });

  it.each(protectedRoutes.filter(({ access }) => access.type !== 'metrics'))(
    '$route needs a key that is valid',
    async (route) => {
      const none = await server.call({ ...request(route, own), key: null });
      expect([none.status, none.body.error.code, none.body.error.type]).toEqual([
        401,
        'missing_api_key',
        'authentication_error',
      ]);
      for (const key of ['cs_live_wrong', 'x', `${keys.get('chat')}x`]) {
        const wrong = await server.call({ ...request(route, own), key });
        expect([wrong.status, wrong.body.error.code]).toEqual([401, 'invalid_api_key']);
      }
    },
  );

  const attempts = protectedRoutes
    .filter(({ access }) => access.type !== 'metrics')
    .flatMap((route) => API_KEY_SCOPES.map((scope) => ({ ...route, scope })));
  it.each(attempts)('$route with the scope $scope alone', async (route) => {
    const { access, scope } = route;
    const may =
      access.type === 'key' &&
      (scope === 'admin' || (access.anyOf.includes(scope) && (access.allOf ?? []).every((other) => other === scope)));
    // What would change the tenant for the next rows is asked of an id that is not there.
    const ids = route.method === 'GET' ? own : { ...own, ...nowhere };
    const { status, body } = await server.call({ ...request(route, ids), key: keys.get(scope) ?? '' });
    if (may) expect([401, 403]).not.toContain(status);
    else expect([status, body.error.code]).toEqual([403, 'insufficient_scope']);
  });

  const withIds = protectedRoutes.filter(({ pattern, access }) => /:|\*/.test(pattern) && access.type === 'key');
  it.each(withIds)('$route answers 404 for what is another tenant’s, as for what is not there', async (route) => {
    const key = keys.get('admin') ?? '';
    const theirs = await server.call({ ...request(route, foreign), key });
    const nobodys = await server.call({ ...request(route, { ...own, ...nowhere }), key });
    expect([theirs.status, nobodys.status]).toEqual([404, 404]);
    expect(theirs.body.error.code).toBe(nobodys.body.error.code);
    expect(theirs.body.error.message).toBe(nobodys.body.error.message);
    expect(theirs.text).not.toContain('canary');
  });

  it.each(withIds.filter(({ pattern }) => pattern.includes('/sources/:id')))(
    '$route answers 404 for a source of another bot',
    async (route) => {
      const mixed = await server.call(request(route, { ...own, source: foreign.source }));
      expect([mixed.status, mixed.body.error.code]).toEqual([404, 'source_not_found']);
    },
  );

  it('of lists shows nothing of another tenant', async () => {
    const key = keys.get('admin') ?? '';
    for (const url of ['/v1/bots', '/v1/conversations', '/v1/api_keys', '/v1/models']) {
      const { text } = await server.call({ method: 'GET', url, key });
      expect(text).not.toMatch(/foreign/);
    }
    const cursor = await server.call({ method: 'GET', url: `/v1/bots?after=${foreign.bot}`, key });
    expect(cursor.body.data).toEqual([]);
  });

  it('for chat treats another’s bot as no model', async () => {
    const json = { model: foreign.bot, messages: [{ role: 'user', content: 'x' }] };
    const { status, body } = await server.call({ method: 'POST', url: '/v1/chat/completions', json });
    expect([status, body.error.code, body.error.param]).toEqual([404, 'model_not_found', 'model']);
  });
});

const nowhere = {
  bot: 'bot_0',
  source: 'src_0',
  document: 'doc_0',
  job: 'job_0',
  conversation: 'conv_0',
  key: 'key_0',
};

describe('a key that is bound to a bot', () => {
  it('sees and uses that bot alone', async () => {
    const other = (await server.call({ method: 'POST', url: '/v1/bots', json: { name: 'Second' } })).body;
    const key = await server.key(['bots:read', 'bots:write', 'chat', 'search', 'sources:read'], { bots: ['own'] });
    const get = async (url: string) => server.call({ method: 'GET', url, key });
    expect((await get('/v1/bots')).body.data.map((bot: { id: string }) => bot.id)).toEqual([own.bot]);
    expect((await get(`/v1/bots/${other.id}`)).status).toBe(404);
    expect((await get('/v1/models')).text).not.toContain(other.slug);
    expect((await get('/v1/conversations')).body.data).toHaveLength(1);
    expect((await get(`/v1/conversations?bot=${other.id}`)).status).toBe(404);
    expect((await get(`/v1/documents/${own.document}`)).status).toBe(200);
    expect((await get(`/v1/jobs/${own.job}`)).status).toBe(200);
    const bound = await server.key(['sources:read', 'bots:read'], { bots: [other.id] });
    for (const url of [
      `/v1/documents/${own.document}`,
      `/v1/jobs/${own.job}`,
      `/v1/conversations/${own.conversation}`,
    ]) {
      expect((await server.call({ method: 'GET', url, key: bound })).status).toBe(404);
    }
    expect((await server.call({ method: 'POST', url: '/v1/bots', json: { name: 'N' }, key })).status).toBe(403);
  });
});

describe('a tenant', () => {
  it('is named in a header by the admin alone', async () => {
    const headers = { 'x-chatsphere-tenant': foreign.tenant };
    const admin = await server.call({ method: 'GET', url: '/v1/bots', headers });
    expect(admin.body.data[0].id).toBe(foreign.bot);
    const key = keys.get('admin') ?? '';
    expect((await server.call({ method: 'GET', url: '/v1/bots', headers, key })).status).toBe(403);
  });
});

describe('origins', () => {
  it('of a key are held to exactly, and only they may read the answer', async () => {
    const key = await server.key(['chat', 'search'], { origins: ['https://www.acme.com'] });
    const ask = (origin?: string) =>
      server.call({ method: 'GET', url: '/v1/models', key, headers: origin === undefined ? {} : { origin } });
    const allowed = await ask('https://www.acme.com');
    expect([allowed.status, allowed.headers['access-control-allow-origin']]).toEqual([200, 'https://www.acme.com']);
    expect(allowed.headers['access-control-expose-headers']).toContain('x-request-id');
    expect(allowed.headers['vary']).toBe('Origin');
    const refused = [
      undefined,
      'null',
      'https://evil-www.acme.com',
      'https://www.acme.com.evil.example',
      'http://www.acme.com',
      'https://www.acme.com:8443',
      'https://acme.com',
      'https://www.acme.com/',
    ];
    for (const origin of refused) {
      const answer = await ask(origin);
      expect([origin, answer.status, answer.body.error.code]).toEqual([origin, 403, 'origin_not_allowed']);
      expect(answer.headers).not.toHaveProperty('access-control-allow-origin');
    }
    expect(allowed.headers).not.toHaveProperty('access-control-allow-credentials');
  });

  it('of keys without any get no permission to read', async () => {
    const headers = { origin: 'https://www.acme.com' };
    const answer = await server.call({ method: 'GET', url: '/v1/models', headers });
    expect(answer.status).toBe(200);
    expect(answer.headers).not.toHaveProperty('access-control-allow-origin');
  });

  it('may ask before they send, without a key', async () => {
    const headers = { origin: 'https://www.acme.com', 'access-control-request-method': 'POST' };
    const answer = await server.call({ method: 'OPTIONS', url: '/v1/chat/completions', key: null, headers });
    expect(answer.status).toBe(204);
    expect(answer.headers['access-control-allow-methods']).toContain('POST');
    expect(answer.headers['access-control-allow-headers']).toContain('authorization');
    expect(answer.headers).not.toHaveProperty('access-control-allow-credentials');
  });
});

describe('limits', () => {
  it('of a key are told with every answer, and kept', async () => {
    const key = await server.key(['chat'], { limits: { requests_per_minute: 2 } });
    const ask = () => server.call({ method: 'GET', url: '/v1/models', key });
    const first = await ask();
    expect([first.headers['ratelimit-limit'], first.headers['ratelimit-remaining']]).toEqual(['2', '1']);
    expect(first.headers['x-ratelimit-limit-requests']).toBe('2');
    expect(first.headers['x-ratelimit-remaining-requests']).toBe('1');
    await ask();
    const { status, body, headers } = await ask();
    expect([status, body.error.code, body.error.type]).toEqual([429, 'rate_limit_exceeded', 'rate_limit_error']);
    expect(Number(headers['retry-after'])).toBeGreaterThan(0);
    expect([body.error.retryable, headers['x-should-retry']]).toEqual([true, 'true']);
  });

  it('of requests at once are freed when an answer has ended', async () => {
    const key = await server.key(['chat'], { limits: { concurrent: 1 } });
    let letGo = (): void => {};
    server.answer = async function* () {
      await new Promise<void>((resolve) => {
        letGo = resolve;
      });
      throw new Error('enough');
    };
    const json = { model: 'own', messages: [{ role: 'user', content: 'x' }] };
    const before = server.asked.length;
    const open = server.call({ method: 'POST', url: '/v1/chat/completions', json, key });
    await expect.poll(() => server.asked.length, { interval: 1 }).toBe(before + 1);
    const second = await server.call({ method: 'POST', url: '/v1/chat/completions', json, key });
    expect([second.status, second.body.error.code]).toEqual([429, 'rate_limit_exceeded']);
    letGo();
    expect((await open).status).toBe(500);
    expect((await server.call({ method: 'GET', url: '/v1/models', key })).status).toBe(200);
  });
});
