import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestServer, type TestServer } from './test-server.contract.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
  await server.call({ method: 'POST', url: '/v1/bots', json: { name: 'Guide' } });
});
afterAll(() => server.stop());

const chat = (more: Record<string, unknown>) => ({
  model: 'guide',
  messages: [{ role: 'user', content: 'Hi' }],
  ...more,
});
const deepFilter = (depth: number): unknown =>
  depth === 0 ? { type: 'eq', key: 'a', value: 1 } : { type: 'and', filters: [deepFilter(depth - 1)] };

const POST_CASES: readonly (readonly [string, unknown, string | null])[] = [
  ['/v1/tenants', {}, 'name'],
  ['/v1/tenants', { name: '' }, 'name'],
  ['/v1/tenants', { name: 'x'.repeat(201) }, 'name'],
  ['/v1/bots', undefined, 'name'],
  ['/v1/bots', [], null],
  ['/v1/bots', 'text', null],
  ['/v1/bots', null, 'name'],
  ['/v1/bots', { name: 5 }, 'name'],
  ['/v1/bots', { name: 'a', tenant_id: 'tnt_x' }, 'tenant_id'],
  ['/v1/bots', { name: 'a', slug: 'Not A Slug' }, 'slug'],
  ['/v1/bots', { name: 'a', slug: 'a--b' }, 'slug'],
  ['/v1/bots', { name: 'a', slug: 'bot_1' }, 'slug'],
  ['/v1/bots', { name: 'a', temperature: 3 }, 'temperature'],
  ['/v1/bots', { name: 'a', temperature: '1' }, 'temperature'],
  ['/v1/bots', { name: 'a', max_output_tokens: 0 }, 'max_output_tokens'],
  ['/v1/bots', { name: 'a', retrieval: { max_num_results: 51 } }, 'retrieval.max_num_results'],
  ['/v1/bots', { name: 'a', retrieval: { hybrid: { embedding_weight: 0, text_weight: 0 } } }, 'retrieval.hybrid'],
  ['/v1/bots', { name: 'a', privacy: { pii: 'some' } }, 'privacy.pii'],
  ['/v1/bots', { name: 'a', metadata: { a: { b: 1 } } }, 'metadata.a'],
  [
    '/v1/bots',
    { name: 'a', metadata: Object.fromEntries(Array.from({ length: 51 }, (_, i) => [`k${i}`, 1])) },
    'metadata',
  ],
  ['/v1/bots/guide/sources', undefined, null],
  ['/v1/bots/guide/sources', {}, 'type'],
  ['/v1/bots/guide/sources', { type: 'video' }, 'type'],
  ['/v1/bots/guide/sources', { type: 'text', title: 'T' }, 'content'],
  ['/v1/bots/guide/sources', { type: 'text', title: 'T', content: 'x', url: 'u' }, 'url'],
  ['/v1/bots/guide/sources', { type: 'qa', items: [] }, 'items'],
  ['/v1/bots/guide/sources', { type: 'qa', items: [{ question: 'q' }] }, 'items[0].answer'],
  ['/v1/bots/guide/search', {}, 'query'],
  ['/v1/bots/guide/search', { query: '' }, 'query'],
  ['/v1/bots/guide/search', { query: 'x'.repeat(8001) }, 'query'],
  ['/v1/bots/guide/search', { query: 'x', max_num_results: 1e9 }, 'max_num_results'],
  ['/v1/bots/guide/search', { query: 'x', filters: { type: 'like', key: 'a', value: 1 } }, 'filters'],
  ['/v1/bots/guide/search', { query: 'x', filters: { type: 'eq', key: 'a', value: {} } }, 'filters.value'],
  ['/v1/bots/guide/search', { query: 'x', filters: { type: 'and', filters: [] } }, 'filters.filters'],
  ['/v1/bots/guide/search', { query: 'x', ranking_options: { score_threshold: 2 } }, 'ranking_options.score_threshold'],
  ['/v1/chat/completions', { model: 'guide' }, 'messages'],
  ['/v1/chat/completions', chat({ messages: [] }), 'messages'],
  ['/v1/chat/completions', chat({ messages: [{ role: 'robot', content: 'x' }] }), 'messages[0].role'],
  ['/v1/chat/completions', chat({ messages: [{ role: 'user', content: 5 }] }), 'messages[0].content'],
  [
    '/v1/chat/completions',
    chat({ messages: [{ role: 'user', content: [{ type: 'image_url' }] }] }),
    'messages[0].content[0].type',
  ],
  ['/v1/chat/completions', chat({ messages: [{ role: 'user', content: '  ' }] }), 'messages'],
  ['/v1/chat/completions', chat({ messages: [{ role: 'assistant', content: 'x' }] }), 'messages'],
  ['/v1/chat/completions', chat({ n: 2 }), 'n'],
  ['/v1/chat/completions', chat({ temperature: -1 }), 'temperature'],
  ['/v1/chat/completions', chat({ max_tokens: 0 }), 'max_tokens'],
  ['/v1/chat/completions', chat({ stop: ['a', 'b', 'c', 'd', 'e'] }), 'stop'],
  ['/v1/chat/completions', chat({ stream: 'yes' }), 'stream'],
  ['/v1/chat/completions', chat({ conversation: false }), 'conversation'],
  ['/v1/chat/completions', chat({ temprature: 1 }), 'temprature'],
  ['/v1/embeddings', { model: 'local/static-en' }, 'input'],
  ['/v1/embeddings', { model: 'local/static-en', input: '' }, 'input'],
  ['/v1/embeddings', { model: 'local/static-en', input: [] }, 'input'],
  ['/v1/embeddings', { model: 'local/static-en', input: [1, 2, 3] }, 'input[0]'],
  ['/v1/embeddings', { model: 'local/static-en', input: [[1, 2]] }, 'input[0]'],
  ['/v1/embeddings', { model: 'local/static-en', input: 'x', encoding_format: 'hex' }, 'encoding_format'],
  ['/v1/api_keys', { name: 'k' }, 'scopes'],
  ['/v1/api_keys', { name: 'k', scopes: [] }, 'scopes'],
  ['/v1/api_keys', { name: 'k', scopes: ['root'] }, 'scopes[0]'],
  ['/v1/api_keys', { name: 'k', scopes: ['chat'], origins: ['https://a.com/path'] }, 'origins[0]'],
  ['/v1/api_keys', { name: 'k', scopes: ['chat'], expires_at: 1 }, 'expires_at'],
];

describe('bad input', () => {
  it.each(POST_CASES)('POST %s %j names %s', async (url, json, param) => {
    const answer = await server.call({ method: 'POST', url, ...(json === undefined ? {} : { json }) });
    expect([answer.status, answer.body.error.code]).toEqual([400, 'invalid_request']);
    expect(answer.body.error.param).toBe(param);
    expect(answer.body.error.message.length).toBeGreaterThan(10);
  });

  it('says of token arrays that the text itself is wanted', async () => {
    const { body } = await server.call({ method: 'POST', url: '/v1/embeddings', json: { model: 'm', input: [1, 2] } });
    expect(body.error.message).toContain('Token arrays are not read');
  });

  it.each([
    'limit=0',
    'limit=101',
    'limit=ten',
    'limit=1.5',
    'limit=1&limit=2',
    'order=up',
    'after=src_1',
    'after=%27%20or%201=1',
    "before=bot_'--",
    'page=2',
    '__proto__=1',
  ])('GET /v1/bots?%s is refused', async (query) => {
    const { status, body } = await server.call({ method: 'GET', url: `/v1/bots?${query}` });
    expect([status, body.error.code]).toEqual([400, 'invalid_request']);
  });

  it('of a cursor that is nobody’s gives an empty page', async () => {
    const { status, body } = await server.call({ method: 'GET', url: '/v1/bots?after=bot_0000' });
    expect([status, body.data]).toEqual([200, []]);
  });

  it.each([
    ['application/xml', '<a/>', 415, 'unsupported_media_type'],
    ['application/ld+json', '{}', 415, 'unsupported_media_type'],
    ['text/plain', 'hello', 415, 'unsupported_media_type'],
    ['application/x-www-form-urlencoded', 'name=a', 415, 'unsupported_media_type'],
    ['application/json', '{"name":', 400, 'invalid_json'],
    ['application/json', '{"name":"\\u0000"}', 400, 'invalid_request'],
    ['application/json', '{"name":"a","metadata":{"__proto__":{"admin":true}}}', 400, 'invalid_json'],
    ['application/json', '['.repeat(100_000), 400, 'invalid_json'],
    ['not a type', '{}', 415, 'unsupported_media_type'],
  ])('of type %s, %.20s, is refused', async (type, payload, ...[status, code]) => {
    const answer = await server.call({ method: 'POST', url: '/v1/bots', payload, headers: { 'content-type': type } });
    expect([answer.status, answer.body.error.code]).toEqual([status, code]);
    expect(({} as Record<string, unknown>)['admin']).toBeUndefined();
  });

  it('takes JSON under its other names', async () => {
    const headers = { 'content-type': 'application/json; charset=utf-8' };
    const payload = '\ufeff{"name":"Bom"}';
    expect((await server.call({ method: 'POST', url: '/v1/bots', payload, headers })).status).toBe(201);
  });

  it('that is too large is refused by each route’s own limit', async () => {
    const large = 'x'.repeat(2_100_000);
    for (const [url, json] of [
      ['/v1/chat/completions', chat({ messages: [{ role: 'user', content: large }] })],
      ['/v1/bots', { name: large }],
      ['/v1/bots/guide/sources', { type: 'text', title: 'T', content: large }],
    ] as const) {
      const { status, body } = await server.call({ method: 'POST', url, json });
      expect([url, status, body.error.code]).toEqual([url, 413, 'payload_too_large']);
    }
  });

  it('of ten thousand turns is refused before a model is asked', async () => {
    const messages = Array.from({ length: 10_000 }, () => ({ role: 'user', content: 'x' }));
    const before = server.asked.length;
    const { status } = await server.call({ method: 'POST', url: '/v1/chat/completions', json: chat({ messages }) });
    expect([status, server.asked.length]).toEqual([400, before]);
  });

  it('of filters nested for ever is refused', async () => {
    const json = { query: 'x', filters: deepFilter(80) };
    const { status } = await server.call({ method: 'POST', url: '/v1/bots/guide/search', json });
    expect(status).toBe(400);
  });

  it.each([
    '/v1/bots/%ZZ',
    '/v1/bots/%',
    '/v1/bots/%C0%80',
    '//',
    '/v1/bots/..%2f..%2fetc',
    `/v1/bots/${'x'.repeat(6000)}`,
  ])('GET %.40s is answered in the shape of errors', async (url) => {
    const { status, body, headers } = await server.call({ method: 'GET', url });
    expect(status).toBeGreaterThanOrEqual(400);
    expect(status).toBeLessThan(500);
    expect(body.error.request_id).toBe(headers['x-request-id']);
  });

  it('of an Idempotency-Key that is no key is refused', async () => {
    for (const key of ['a b', 'x'.repeat(256)]) {
      const headers = { 'idempotency-key': key };
      const { status, body } = await server.call({ method: 'POST', url: '/v1/bots', json: { name: 'a' }, headers });
      expect([status, body.error.param]).toEqual([400, 'Idempotency-Key']);
    }
  });
});

const SAMPLES = [
  '',
  ' ',
  '\u0000',
  '\u001b[31mred',
  '\u202eabc',
  '\u2028\u2029',
  '\ufeff',
  '\ud800',
  'z\u0351\u0344\u034aa\u0363l\u0368g\u030fo\u0305',
  '👩‍👩‍👧',
  'ﷺ',
  '社會科學院',
  '<script>alert(1)</script>',
  '"><img src=x onerror=alert(1)>',
  "'; drop table bots; --",
  '" or ""="',
  '{{7*7}}',
  '#{7*7}',
  '$(touch x)',
  '../../../../etc/passwd',
  '%00',
  '%n%s%p',
  '-1',
  '1e400',
  'NaN',
  'null',
  'undefined',
  '__proto__',
  'constructor',
  'CON',
];

describe(`naughty strings (${SAMPLES.length}) in every text field`, () => {
  const fields: readonly (readonly [string, (text: string) => unknown])[] = [
    ['/v1/bots', (text) => ({ name: text, instructions: text, refusal_message: text, metadata: { k: text } })],
    ['/v1/bots', (text) => ({ name: 'n', slug: text })],
    ['/v1/bots/guide/sources', (text) => ({ type: 'text', title: text, content: text, metadata: { k: text } })],
    ['/v1/bots/guide/sources', (text) => ({ type: 'qa', items: [{ question: text, answer: text }] })],
    ['/v1/bots/guide/search', (text) => ({ query: text, filters: { type: 'eq', key: 'k', value: text } })],
    ['/v1/chat/completions', (text) => ({ model: 'guide', user: text, messages: [{ role: 'user', content: text }] })],
    ['/v1/chat/completions', (text) => ({ model: text, messages: [{ role: 'user', content: 'x' }] })],
    ['/v1/embeddings', (text) => ({ model: 'local/static-en', input: [text] })],
    ['/v1/api_keys', (text) => ({ name: text, scopes: ['chat'], bots: [text] })],
    ['/v1/tenants', (text) => ({ name: text })],
  ];
  it.each(fields)('POST %s answers with what it took, or with a 4xx', async (url, bodyOf) => {
    for (const text of SAMPLES) {
      const { status } = await server.call({ method: 'POST', url, json: bodyOf(text) });
      expect(status, `${url} ${JSON.stringify(text)}`).toBeLessThan(500);
    }
  });

  it('a name is given back exactly as it was sent', async () => {
    for (const text of SAMPLES.filter((sample) => sample !== '' && !sample.includes('\0'))) {
      const { status, body } = await server.call({ method: 'POST', url: '/v1/tenants', json: { name: text } });
      if (status === 201) expect(body.name).toBe(text);
    }
  });
});
