import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ADMIN_KEY, callServer, jobEnded } from './built-server.ts';
import { askServer, type FaultBed, holdsNothingForeign, startFaultBed } from './fault-bed.ts';
import type { StandinFault } from './openai-standin.ts';

const WHOLE = 'Hello there, friend';
const REFUSING = 'http://127.0.0.1:1/v1';
const KINDS = [
  ['JSON', false],
  ['a stream', true],
] as const;

describe('faults of the first of two models, over HTTP', () => {
  let bed: FaultBed;
  beforeAll(async () => {
    bed = await startFaultBed({ CHAT_MODEL_FALLBACKS: 'openai/second' });
  });
  afterAll(() => bed.stop());

  const faults: readonly StandinFault[] = [
    'error_500',
    'error_529',
    'html_502',
    'rate_limit',
    'quota',
    'unauthorized',
    'not_found',
    'reset_before_byte',
    'hang_before_byte',
    'hang_after_head',
    'error_event_first',
    'error_after_role',
    'empty_stream',
    'empty_body',
    'malformed_json',
  ];

  describe.each(KINDS)('%s', (_kind, stream) => {
    it.each(faults)('comes whole from the second model, and says so, at %s', async (fault) => {
      const bot = await bed.bot();
      const seen = await bed.ask(bot, { stream, always: fault });
      expect(seen, seen.raw).toMatchObject({ status: 200, text: WHOLE, finishReason: 'stop', errors: 0, done: true });
      expect(seen.headers['x-chatsphere-served-by']).toBe('openai/second');
      expect(seen.headers['x-chatsphere-degraded']).toContain('fallback_model');
      expect(seen.degraded).toContain('fallback_model');
      expect(bed.calls(bot.model)).toBeLessThanOrEqual(2);
    });
  });

  it.each(KINDS)('is named with the number of calls when the second fails, too: %s', async (_kind, stream) => {
    const bot = await bed.bot();
    Object.assign(bed.standin.settings, { faultModels: [bot.model, 'second'], nextFaults: [], fault: 'not_found' });
    const seen = await askServer(bed.server.url, { model: bot.id, stream });
    expect(seen.error, seen.raw).toMatchObject({ code: 'provider_rejected_request' });
    expect(seen.headers['x-chatsphere-served-by']).toBe(`openai/${bot.model}`);
    expect(seen.headers['x-chatsphere-attempts']).toBe('2');
  });

  it('does not change models in mid-answer when it is read as it comes', async () => {
    const before = bed.calls('second');
    const seen = await bed.ask(await bed.bot(), { stream: true, always: 'error_event' });
    expect(seen, seen.raw).toMatchObject({ errors: 1, finishReason: null, done: false });
    expect(bed.calls('second')).toBe(before);
  });

  it.each(['error_event', 'reset_mid_stream', 'hang_mid_stream', 'truncated'] as const)(
    'comes whole from the second model in JSON when the first breaks off: %s',
    async (fault) => {
      const seen = await bed.ask(await bed.bot(), { stream: false, always: fault });
      expect(seen, seen.raw).toMatchObject({ status: 200, text: WHOLE, finishReason: 'stop', errors: 0 });
      expect(seen.degraded).toEqual(['fallback_model']);
    },
  );
});

describe('the cheaper model, over HTTP', () => {
  const QUESTION = 'At what temperature is green tea steeped?';
  let bed: FaultBed;
  beforeAll(async () => {
    bed = await startFaultBed({ CHAT_MODEL_FALLBACKS: 'openai/second', CHAT_MODEL_CHEAPER: 'openai/small' });
  });
  afterAll(() => bed.stop());

  function fail(...models: readonly string[]): void {
    Object.assign(bed.standin.settings, { faultModels: models, nextFaults: [], fault: 'not_found' });
  }

  async function told(step: string): Promise<number> {
    const headers = { authorization: `Bearer ${ADMIN_KEY}` };
    const metrics = await (await fetch(`${bed.server.url}/metrics`, { headers })).text();
    return Number(new RegExp(`chatsphere_degraded_answers_total\\{step="${step}"\\} (\\d+)`).exec(metrics)?.[1] ?? 0);
  }

  describe.each(KINDS)('%s', (_kind, stream) => {
    it('answers when the model and its fallbacks have failed, and says so in header, answer and metric', async () => {
      const bot = await bed.bot();
      const before = await told('cheaper_model');
      fail(bot.model, 'second');
      const seen = await askServer(bed.server.url, { model: bot.id, stream });
      expect(seen, seen.raw).toMatchObject({ status: 200, text: WHOLE, finishReason: 'stop', errors: 0, done: true });
      expect(seen.headers['x-chatsphere-served-by']).toBe('openai/small');
      expect(seen.headers['x-chatsphere-degraded']).toBe('cheaper_model');
      expect(seen.headers['x-chatsphere-attempts']).toBe('3');
      expect(seen.degraded).toEqual(['cheaper_model']);
      expect(await told('cheaper_model')).toBe(before + 1);
    });

    it('is what a bot marks so in its own list, to which nothing is added', async () => {
      const models = ['first', 'dear', 'little'].map((name) => ({ model: `openai/own-${stream}-${name}` }));
      const marked = models.map((entry, place) => (place === 2 ? { ...entry, cheaper: true } : entry));
      const { id } = await bed.bot({ model: undefined, models: marked });
      fail(`own-${stream}-first`);
      expect((await askServer(bed.server.url, { model: id, stream })).degraded).toEqual(['fallback_model']);
      fail(`own-${stream}-first`, `own-${stream}-dear`);
      const seen = await askServer(bed.server.url, { model: id, stream });
      expect(seen.headers['x-chatsphere-served-by']).toBe(`openai/own-${stream}-little`);
      expect(seen.degraded).toEqual(['cheaper_model']);
    });

    it('comes before quotes from the content, which come when it has failed, too', async () => {
      const bot = await bed.bot();
      const json = { type: 'text', title: 'Tea', content: 'Green tea is steeped at 75 degrees.' };
      const { body } = await callServer(bed.server, { path: `/v1/bots/${bot.id}/sources`, json });
      await jobEnded(bed.server, String(body['job_id']));
      fail(bot.model, 'second');
      const cheap = await askServer(bed.server.url, { model: bot.id, stream, question: QUESTION });
      expect(cheap.degraded, cheap.raw).toEqual(['cheaper_model']);
      fail(bot.model, 'second', 'small');
      const quoted = await askServer(bed.server.url, { model: bot.id, stream, question: QUESTION });
      expect(quoted.degraded, quoted.raw).toEqual(['extractive_answer']);
      expect(quoted.text).toContain('75 degrees');
    });
  });
});

describe('a provider that is away altogether', () => {
  const CONTENT = 'Green tea is steeped at 75 degrees for two minutes.';
  const QUESTION = 'At what temperature is green tea steeped?';
  let bed: FaultBed;
  const bots = { trained: '', untrained: '' };
  beforeAll(async () => {
    bed = await startFaultBed({ LLM_FIRST_TOKEN_TIMEOUT_MS: '5000' });
    bots.untrained = (await bed.bot({ model: null })).id;
    bots.trained = (await bed.bot({ model: null })).id;
    const path = `/v1/bots/${bots.trained}/sources`;
    const { body } = await callServer(bed.server, { path, json: { type: 'text', title: 'Tea', content: CONTENT } });
    await jobEnded(bed.server, String(body['job_id']));
    bed.standin.settings.fault = 'error_500';
  });
  afterAll(() => bed.stop());

  it('is called at most 1.2 times a request once its circuit is open, and every client gets something useful within a second', async () => {
    const { standin, server } = bed;
    const ask = (model: string, stream: boolean) => askServer(server.url, { model, stream, question: QUESTION });
    for (let warm = 0; warm < 12; warm += 1) await ask(bots.untrained, false);
    const before = standin.requests.length;
    const asked = Array.from({ length: 60 }, (_, number) =>
      ask(number % 3 === 0 ? bots.trained : bots.untrained, number % 2 === 0),
    );
    const answers = await Promise.all(asked);
    expect(standin.requests.length - before).toBeLessThanOrEqual(asked.length * 1.2);
    for (const [number, seen] of answers.entries()) {
      expect(holdsNothingForeign(seen)).toBe(true);
      if (number % 3 === 0) {
        expect(seen, seen.raw).toMatchObject({ status: 200, errors: 0, done: true });
        expect(seen.text).toContain('75 degrees');
        expect(seen.degraded).toContain('extractive_answer');
      } else {
        expect(seen.status, seen.raw).toBe(503);
        expect(Number(seen.headers['retry-after'])).toBeGreaterThan(0);
        expect(seen.headers['x-chatsphere-served-by']).toBe('openai/gpt-test');
        expect(Number(seen.headers['x-chatsphere-attempts'])).toBeGreaterThanOrEqual(0);
      }
    }
    const alone = await ask(bots.trained, true);
    expect(alone.milliseconds).toBeLessThan(1000);
  });
});

describe('a provider that refuses connections', () => {
  it('is passed by within a second', async () => {
    const bed = await startFaultBed({ OPENAI_BASE_URL: REFUSING });
    try {
      const bot = await bed.bot({ model: null });
      const path = `/v1/bots/${bot.id}/sources`;
      const json = { type: 'text', title: 'Tea', content: 'Green tea is steeped at 75 degrees.' };
      const { body } = await callServer(bed.server, { path, json });
      await jobEnded(bed.server, String(body['job_id']));
      for (const stream of [false, true]) {
        const seen = await askServer(bed.server.url, {
          model: bot.id,
          stream,
          question: 'How hot is green tea steeped?',
        });
        expect(seen, seen.raw).toMatchObject({ status: 200, errors: 0, done: true });
        expect(seen.degraded).toContain('extractive_answer');
        expect(seen.milliseconds).toBeLessThan(1000);
      }
    } finally {
      await bed.stop();
    }
  });
});
