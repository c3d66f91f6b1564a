import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AppError, createManualClock } from '../kernel/index.ts';
import { ADMIN_KEY, START, startTestServer, type TestServer } from './test-server.contract.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
  await server.call({ method: 'POST', url: '/v1/bots', json: { name: 'Guide' } });
});
afterAll(() => server.stop());

let count = 0;
function newKey(): string {
  count += 1;
  return `key-${count}`;
}

function makeBot(idempotencyKey: string, name = 'Idem', key?: string) {
  const headers = { 'idempotency-key': idempotencyKey };
  return server.call({
    method: 'POST',
    url: '/v1/bots',
    json: { name },
    headers,
    ...(key === undefined ? {} : { key }),
  });
}

const botCount = async () =>
  (await server.store.forTenant('tnt_default').bots.list({ limit: 100, order: 'asc' })).items.length;

describe('an idempotency key', () => {
  it('gives the same answer again, and does nothing', async () => {
    const key = newKey();
    const first = await makeBot(key);
    const before = await botCount();
    const again = await makeBot(key);
    expect([again.status, again.text, again.headers['idempotency-replayed']]).toEqual([201, first.text, 'true']);
    expect(first.headers).not.toHaveProperty('idempotency-replayed');
    expect(await botCount()).toBe(before);
  });

  it('of 100 equal requests at once makes one effect and one answer', async () => {
    const key = newKey();
    const before = await botCount();
    const answers = await Promise.all(Array.from({ length: 100 }, () => makeBot(key)));
    expect(new Set(answers.map((answer) => answer.text)).size).toBe(1);
    expect(new Set(answers.map((answer) => answer.status))).toEqual(new Set([201]));
    expect(answers.filter((answer) => answer.headers['idempotency-replayed'] === undefined)).toHaveLength(1);
    expect(await botCount()).toBe(before + 1);
  });

  it('is refused for another body and for another path', async () => {
    const key = newKey();
    await makeBot(key);
    const other = await makeBot(key, 'Else');
    expect([other.status, other.body.error.code]).toEqual([422, 'idempotency_key_reused']);
    const headers = { 'idempotency-key': key };
    const path = await server.call({ method: 'POST', url: '/v1/tenants', json: { name: 'Idem' }, headers });
    expect(path.body.error.code).toBe('idempotency_key_reused');
  });

  it('belongs to the API key that sent it', async () => {
    const key = newKey();
    const [one, two] = [await server.key(['bots:write']), await server.key(['bots:write'])];
    const first = await makeBot(key, 'Idem', one);
    const second = await makeBot(key, 'Idem', two);
    expect(second.headers).not.toHaveProperty('idempotency-replayed');
    expect(second.body.id).not.toBe(first.body.id);
  });

  it('keeps an answer of 4xx, and lets go after one of 5xx, for all who waited', async () => {
    const taken = newKey();
    const headers = { 'idempotency-key': taken };
    const json = { name: 'X', slug: 'guide' };
    const refused = await server.call({ method: 'POST', url: '/v1/bots', json, headers });
    const again = await server.call({ method: 'POST', url: '/v1/bots', json, headers });
    expect([refused.status, again.status, again.headers['idempotency-replayed']]).toEqual([409, 409, 'true']);

    const failing = { 'idempotency-key': newKey() };
    const text = { type: 'text', title: 'T', content: 'x' };
    const post = () => server.call({ method: 'POST', url: '/v1/bots/guide/sources', json: text, headers: failing });
    server.beforeTraining = async () => {
      throw new AppError('storage_full', 'Full.');
    };
    const failures = await Promise.all([post(), post()]);
    server.beforeTraining = async () => {};
    expect(failures.map((answer) => answer.status)).toEqual([507, 507]);
    expect((await post()).status).toBe(202);
  });

  it('works for answers, and joins or replays those that are streamed', async () => {
    const body = { model: 'guide', messages: [{ role: 'user', content: 'Hi' }] };
    const ask = (json: unknown, key: string) =>
      server.call({ method: 'POST', url: '/v1/chat/completions', json, headers: { 'idempotency-key': key } });
    const before = server.asked.length;
    const [key, streamKey] = [newKey(), newKey()];
    expect((await ask(body, key)).text).toBe((await ask(body, key)).text);
    expect(server.asked).toHaveLength(before + 1);
    const streamed = { ...body, stream: true };
    const [first, second] = await Promise.all([ask(streamed, streamKey), ask(streamed, streamKey)]);
    const third = await ask(streamed, streamKey);
    expect(server.asked).toHaveLength(before + 2);
    expect([second.text, third.text]).toEqual([first.text, first.text]);
    expect([first, second, third].map(({ headers }) => headers['idempotency-replayed'])).toEqual([
      undefined,
      'true',
      'true',
    ]);
    expect((await ask({ ...streamed, temperature: 1 }, streamKey)).body.error.code).toBe('idempotency_key_reused');
    expect((await ask(streamed, 'ü')).body.error).toMatchObject({
      code: 'invalid_request',
      param: 'Idempotency-Key',
    });
  });

  it('is free again when the streamed answer failed', async () => {
    const key = newKey();
    const ask = () =>
      server.call({
        method: 'POST',
        url: '/v1/chat/completions',
        json: { model: 'guide', stream: true, messages: [{ role: 'user', content: 'Hi' }] },
        headers: { 'idempotency-key': key },
      });
    const { answer } = server;
    server.answer = async function* () {
      yield START;
      throw new AppError('stream_interrupted', 'Broke off.', { retryable: true });
    };
    expect((await ask()).text).toContain('stream_interrupted');
    server.answer = answer;
    expect((await ask()).text).toContain('[DONE]');
  });

  it('leaves neither itself, nor the answer, nor a new secret to read in the store', async () => {
    const key = 'a-key-that-can-be-found';
    const headers = { 'idempotency-key': key };
    const json = { name: 'Findable', scopes: ['chat'] };
    const made = await server.call({ method: 'POST', url: '/v1/api_keys', json, headers });
    const again = await server.call({ method: 'POST', url: '/v1/api_keys', json, headers });
    expect(again.body.secret).toBe(made.body.secret);
    const kept: unknown[] = [];
    const watched = await startTestServer();
    const tenant = watched.store.forTenant('tnt_default');
    const { idempotency } = tenant;
    watched.store.forTenant = () => ({
      ...tenant,
      idempotency: {
        ...idempotency,
        claim: (record) => {
          kept.push(record);
          return idempotency.claim(record);
        },
        complete: (...answer) => {
          kept.push(answer);
          return idempotency.complete(...answer);
        },
      },
    });
    const { secret } = (await watched.call({ method: 'POST', url: '/v1/api_keys', json, headers })).body;
    expect(kept).toHaveLength(2);
    expect(JSON.stringify(kept)).not.toMatch(new RegExp(`${secret}|Findable|${key}`));
    await watched.stop();
  });
});

describe('an idempotency key in another process', () => {
  it('is waited for, and its answer given; a wait without end is refused', async () => {
    const clock = createManualClock();
    const waiting = await startTestServer({ clock });
    const headers = { 'idempotency-key': 'elsewhere' };
    const send = () => waiting.call({ method: 'POST', url: '/v1/bots', json: { name: 'Same' }, headers });
    const first = await send();
    const tenant = waiting.store.forTenant('tnt_default');
    const { idempotency } = tenant;
    let claims = 0;
    let runningFor = 3;
    waiting.store.forTenant = () => ({
      ...tenant,
      idempotency: {
        ...idempotency,
        async claim(record) {
          claims += 1;
          const found = await idempotency.claim(record);
          return found === null || claims > runningFor
            ? found
            : { ...found, state: 'running', status: null, body: null };
        },
      },
    });
    const second = send();
    for (let seen = 1; seen <= runningFor; seen += 1) {
      await expect.poll(() => claims, { interval: 1 }).toBe(seen);
      await clock.advance(200);
    }
    expect((await second).text).toBe(first.text);

    claims = 0;
    runningFor = Number.POSITIVE_INFINITY;
    const third = send();
    await expect.poll(() => claims, { interval: 1 }).toBe(1);
    await clock.advance(61_000);
    const late = await third;
    expect([late.status, late.body.error.code, late.body.error.retryable]).toEqual([
      409,
      'idempotency_in_progress',
      true,
    ]);
    await waiting.stop();
  });

  it('is no longer waited for when the client has left', async () => {
    const clock = createManualClock();
    const waiting = await startTestServer({ clock });
    const tenant = waiting.store.forTenant('tnt_default');
    let claims = 0;
    waiting.store.forTenant = () => ({
      ...tenant,
      idempotency: {
        ...tenant.idempotency,
        async claim({ key, fingerprint, createdAt }) {
          claims += 1;
          return { key, fingerprint, createdAt, state: 'running', status: null, body: null };
        },
      },
    });
    const url = await waiting.app.listen({ port: 0, host: '127.0.0.1' });
    const client = new AbortController();
    const headers = {
      authorization: `Bearer ${ADMIN_KEY}`,
      'content-type': 'application/json',
      'idempotency-key': 'elsewhere',
    };
    const sent = fetch(`${url}/v1/bots`, { method: 'POST', headers, body: '{"name":"Left"}', signal: client.signal });
    sent.catch(() => {});
    await expect.poll(() => claims, { interval: 1 }).toBe(1);
    client.abort();
    await expect
      .poll(() => waiting.counted.filter(({ name }) => name === 'chatsphere_http_requests_total').length)
      .toBe(1);
    await clock.advance(61_000);
    expect(claims).toBe(1);
    await waiting.stop();
  });
});
