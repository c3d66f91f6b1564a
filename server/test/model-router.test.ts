import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { callServer } from './built-server.ts';
import { askServer, type FaultBed, type Seen, startFaultBed } from './fault-bed.ts';

describe('models and their failures, over HTTP', () => {
  let bed: FaultBed;
  beforeAll(async () => {
    bed = await startFaultBed({ OPENAI_API_KEY: 'sk-first,sk-second' });
  });
  afterAll(() => bed.stop());

  const isDown = (model: string): void => {
    Object.assign(bed.standin.settings, { faultModels: [model], nextFaults: [], fault: 'error_500' });
  };
  const ask = (bot: { readonly id: string }, stream = false, question = 'Hi'): Promise<Seen> =>
    askServer(bed.server.url, { model: bot.id, stream, question });

  it.each([false, true])('answers with the next model of the list and says so (stream: %s)', async (stream) => {
    const bot = await bed.bot({ model: undefined, models: [{ model: 'openai/dead' }, { model: 'openai/alive' }] });
    isDown('dead');
    expect(await ask(bot, stream)).toMatchObject({
      status: 200,
      degraded: ['fallback_model'],
      headers: {
        'x-chatsphere-served-by': 'openai/alive',
        'x-chatsphere-attempts': '3',
        'x-chatsphere-degraded': 'fallback_model',
      },
    });
  });

  it('lets the keys take turns, and a bot have its own', async () => {
    Object.assign(bed.standin.settings, { nextFaults: [], fault: 'none' });
    const keysOf = (model: string): (string | undefined)[] =>
      bed.standin.requests.filter(({ body }) => body['model'] === model).map(({ authorization }) => authorization);
    const both = await bed.bot();
    for (let round = 0; round < 6; round += 1) await ask(both);
    expect(keysOf(both.model).toSorted()).toEqual([
      ...Array(3).fill('Bearer sk-first'),
      ...Array(3).fill('Bearer sk-second'),
    ]);
    const one = await bed.bot({ model: undefined, models: [{ model: 'openai/own-key', keys: [{ key: 2 }] }] });
    for (let round = 0; round < 3; round += 1) await ask(one);
    expect(keysOf('own-key')).toEqual(Array(3).fill('Bearer sk-second'));
  });

  it('spares a provider that is down, and tells every client at once when to come again', async () => {
    const bot = await bed.bot();
    isDown(bot.model);
    while ((await ask(bot)).error?.code !== 'provider_unavailable');
    const before = bed.calls(bot.model);
    const seen = await Promise.all(Array.from({ length: 100 }, (_, number) => ask(bot, number % 2 === 0)));
    expect(bed.calls(bot.model) - before).toBeLessThanOrEqual(120);
    for (const { status, headers, error } of seen) {
      expect(status).toBe(503);
      expect(error?.code).toMatch(/^provider_/);
      expect(Number(headers['retry-after'])).toBeGreaterThanOrEqual(1);
    }
  });

  it('answers from the passages of a bot that has some', async () => {
    const bot = await bed.bot();
    const content = 'Sick leave accrues at four hours per pay period. There is no maximum.';
    const { body } = await callServer(bed.server, {
      path: `/v1/bots/${bot.id}/sources`,
      json: { type: 'text', title: 'Leave', content },
    });
    await expect
      .poll(
        async () =>
          (await callServer(bed.server, { path: `/v1/bots/${bot.id}/sources/${String(body['id'])}` })).body['status'],
        { timeout: 20_000 },
      )
      .toBe('ready');
    isDown(bot.model);
    const seen = await ask(bot, true, 'How does sick leave accrue?');
    expect(seen).toMatchObject({
      status: 200,
      done: true,
      degraded: ['extractive_answer'],
      headers: { 'x-chatsphere-served-by': 'chatsphere/extractive', 'x-chatsphere-degraded': 'extractive_answer' },
    });
    expect(seen.text).toContain('four hours per pay period');
  });

  it('keeps the list of a bot, and refuses what cannot be called', async () => {
    const bot = await bed.bot();
    const change = (json: Record<string, unknown>) =>
      callServer(bed.server, { path: `/v1/bots/${bot.id}`, method: 'PATCH', json });
    const models = [
      { model: 'openai/a', rank: 0, weight: 3 },
      { model: 'openai/b', rank: 0, weight: 1, keys: [{ key: 2, weight: 1 }] },
      { model: 'chatsphere/extractive', rank: 1, weight: 1 },
    ];
    expect(await change({ models })).toMatchObject({ status: 200, body: { model: 'openai/a', models } });
    expect(await change({ name: 'Other' })).toMatchObject({ body: { models } });
    expect(await change({ models: [{ model: 'acme/llm' }] })).toMatchObject({
      status: 404,
      body: { error: { code: 'model_not_found' } },
    });
    expect(await change({ models: [{ model: 'openai/a', keys: [{ key: 3 }] }] })).toMatchObject({
      status: 400,
      body: { error: { code: 'invalid_request', param: 'models' } },
    });
    expect(await change({ model: 'openai/z', models })).toMatchObject({
      status: 400,
      body: { error: { param: 'model' } },
    });
    expect(await change({ models: [] })).toMatchObject({ status: 400 });
    expect(await change({ model: 'openai/z' })).toMatchObject({ body: { model: 'openai/z', models: null } });
  });
});
