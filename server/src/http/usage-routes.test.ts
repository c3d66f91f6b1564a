import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { NewUsage } from '../chat/index.ts';
import { startTestServer, type TestServer } from './test-server.contract.ts';

const DAY = 86_400;
const START = 1_790_000_000 - (1_790_000_000 % DAY);

let server: TestServer;
let botId: string;

const use = (changes: Partial<NewUsage> = {}): NewUsage => ({
  id: server.parts.createId('req'),
  tenantId: 'tnt_default',
  botId,
  keyId: null,
  endUser: null,
  conversationId: null,
  answerId: 'msg_1',
  kind: 'chat',
  model: 'openai/gpt-4o-mini',
  keyFingerprint: 'ab12',
  outcome: 'ok',
  errorCode: null,
  cache: null,
  calls: 1,
  requests: 1,
  inputTokens: 1000,
  cachedInputTokens: 0,
  outputTokens: 100,
  usageSource: 'provider',
  firstTokenMs: 12,
  durationMs: 34,
  createdAt: START * 1000,
  ...changes,
});

const get = (url: string, more: Parameters<TestServer['call']>[0] = {}) => server.call({ method: 'GET', url, ...more });

beforeAll(async () => {
  server = await startTestServer();
  const bot = await server.call({ method: 'POST', url: '/v1/bots', json: { name: 'Guide' } });
  botId = bot.body.id;
  await server.store.tenants.create({ id: 'tnt_other', name: 'Other', createdAt: 1, updatedAt: 1 });
  const rows = [
    use(),
    use({ outcome: 'failed', errorCode: 'provider_error', requests: 0, inputTokens: 0, outputTokens: 0 }),
    use({ model: 'acme/secret', endUser: 'ada', createdAt: (START + DAY) * 1000 }),
    use({ model: 'openai/text-embedding-3-small', kind: 'embedding', botId: null, requests: 0, outputTokens: 0 }),
    use({ tenantId: 'tnt_other', model: 'other/model' }),
  ];
  for (const row of rows) server.ledger.record(row);
});
afterAll(() => server.stop());

describe('usage', () => {
  it('is summed up, in tokens and dollars, with what was used a moment ago', async () => {
    const { status, body } = await get('/v1/usage');
    expect(status).toBe(200);
    expect(body).toEqual({
      object: 'list',
      group_by: [],
      start: null,
      end: null,
      data: [],
      first_id: null,
      last_id: null,
      has_more: false,
      total: {
        requests: 2,
        calls: 4,
        failed_calls: 1,
        cached_answers: 0,
        input_tokens: 3000,
        cached_input_tokens: 0,
        output_tokens: 200,
        total_tokens: 3200,
        cost_usd: 0.00023,
        unpriced_calls: 1,
      },
    });
  });

  it('is grouped; a model without a price costs null, not 0', async () => {
    const { body } = await get('/v1/usage?group_by=model&order=asc');
    expect(body.data.map((group: { model: string; cost_usd: number }) => [group.model, group.cost_usd])).toEqual([
      ['acme/secret', null],
      ['openai/gpt-4o-mini', 0.00021],
      ['openai/text-embedding-3-small', 0.00002],
    ]);
    const twice = await get('/v1/usage?group_by=day&group_by=user&order=asc');
    expect(twice.body.group_by).toEqual(['day', 'user']);
    expect(twice.body.data.map(({ day, user, calls }: Record<string, unknown>) => [day, user, calls])).toEqual([
      [dayOf(START), null, 3],
      [dayOf(START + DAY), 'ada', 1],
    ]);
    expect((await get('/v1/usage?group_by=bot,key')).body.data).toMatchObject([
      { bot: botId, key: null },
      { bot: null, key: null },
    ]);
  });

  const dayOf = (seconds: number): string => new Date(seconds * 1000).toISOString().slice(0, 10);

  it('is filtered by time and all else', async () => {
    const calls = async (query: string) => (await get(`/v1/usage?${query}`)).body.total.calls;
    expect(await calls(`start=${START + 1}`)).toBe(1);
    expect(await calls(`end=${START + 1}`)).toBe(3);
    expect(await calls(`start=${START}&end=${START}`)).toBe(0);
    expect(await calls('bot=guide')).toBe(3);
    expect(await calls(`bot=${botId}&outcome=failed`)).toBe(1);
    expect(await calls('user=ada')).toBe(1);
    expect(await calls('kind=embedding')).toBe(1);
    expect(await calls('model=openai/gpt-4o-mini')).toBe(2);
    for (const url of ['/v1/usage?key=key_none', '/v1/usage/calls?key=key_none']) {
      const { status, body } = await get(url);
      expect([status, body.error.code, body.error.param]).toEqual([404, 'api_key_not_found', 'key']);
    }
    const { id } = (
      await server.call({ method: 'POST', url: '/v1/api_keys', json: { name: 'Idle', scopes: ['chat'] } })
    ).body;
    expect(await calls(`key=${id}`)).toBe(0);
    expect((await get('/v1/usage?bot=none')).body.error.code).toBe('bot_not_found');
  });

  it('is read page by page', async () => {
    const first = await get('/v1/usage?group_by=model&order=asc&limit=2');
    expect(first.body).toMatchObject({ has_more: true, total: { calls: 4 } });
    const next = await get(`/v1/usage?group_by=model&order=asc&limit=2&after=${first.body.last_id}`);
    expect(next.body).toMatchObject({ has_more: false, data: [{ model: 'openai/text-embedding-3-small' }] });
    const other = await get(`/v1/usage?group_by=day&after=${first.body.last_id}`);
    expect([other.status, other.body.error.param]).toEqual([400, 'after']);
  });

  it.each([
    ['group_by=colour', 'group_by[0]'],
    ['group_by=bot,bot', 'group_by'],
    ['start=yesterday', 'start'],
    ['start=10&end=9', 'end'],
    ['outcome=maybe', 'outcome'],
    ['limit=101', 'limit'],
    ['after=usg_%20', 'after'],
    ['after=usg_bm9uc2Vuc2U&group_by=bot', 'after'],
  ])('refuses %s', async (query, param) => {
    const { status, body } = await get(`/v1/usage?${query}`);
    expect([status, body.error.param]).toEqual([400, param]);
  });

  it('of other tenants is for the admin alone: by the header, or grouped by tenant', async () => {
    const named = await get('/v1/usage?group_by=tenant', { headers: { 'x-chatsphere-tenant': 'tnt_other' } });
    expect(named.body.data).toMatchObject([{ tenant: 'tnt_other', calls: 1 }]);
    const all = await get('/v1/usage?group_by=tenant&order=asc');
    expect(all.body.data).toMatchObject([{ tenant: 'tnt_default' }, { tenant: 'tnt_other' }]);
    const key = await server.key(['usage:read']);
    expect((await get('/v1/usage?group_by=tenant', { key })).body.data).toMatchObject([{ tenant: 'tnt_default' }]);
    expect((await get('/v1/usage', { key: await server.key(['chat']) })).status).toBe(403);
  });

  it('is that of its own bots for a key that is bound to them', async () => {
    const key = await server.key(['usage:read'], { bots: [botId] });
    expect((await get('/v1/usage', { key })).body.total.calls).toBe(3);
    expect((await get('/v1/usage/calls', { key })).body.data).toHaveLength(3);
    const other = await server.call({ method: 'POST', url: '/v1/bots', json: { name: 'Other' } });
    const strange = await server.key(['usage:read'], { bots: [other.body.id] });
    expect((await get('/v1/usage', { key: strange })).body.total.calls).toBe(0);
    expect((await get(`/v1/usage?bot=${botId}`, { key: strange })).status).toBe(404);
  });

  it('is listed call by call, each with its price', async () => {
    const { body } = await get('/v1/usage/calls?order=asc&limit=2');
    expect(body).toMatchObject({ object: 'list', has_more: true });
    expect(body.data[0]).toMatchObject({
      object: 'usage.call',
      bot: botId,
      message: 'msg_1',
      provider: 'openai',
      model: 'openai/gpt-4o-mini',
      key_fingerprint: 'ab12',
      outcome: 'ok',
      usage_source: 'provider',
      cost_usd: 0.00021,
      price: { unit: 'USD per million tokens', input: 0.15, cached_input: 0.075, output: 0.6 },
      first_token_ms: 12,
      duration_ms: 34,
      created_at: START,
    });
    const next = await get(`/v1/usage/calls?order=asc&limit=2&after=${body.last_id}`);
    expect(next.body.data[0]).toMatchObject({ model: 'acme/secret', cost_usd: null, price: null, user: 'ada' });
    const failed = await get('/v1/usage/calls?outcome=failed');
    expect(failed.body.data).toMatchObject([{ error_code: 'provider_error', cost_usd: 0 }]);
  });
});

describe('prices', () => {
  it('are shown with date, source and unit', async () => {
    const { body } = await get('/v1/prices', { key: await server.key(['usage:read']) });
    const mini = body.data.find((price: { model: string }) => price.model === 'openai/gpt-4o-mini');
    expect(mini).toMatchObject({
      object: 'price',
      input: 0.15,
      output: 0.6,
      origin: 'built-in',
      source: expect.any(String),
    });
    expect(mini.as_of).toMatch(/^\d{4}-\d{2}-\d{2}$/);
    expect((await get('/v1/prices', { key: await server.key(['chat']) })).status).toBe(403);
  });
});
