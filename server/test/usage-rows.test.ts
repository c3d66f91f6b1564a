import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { callServer, jobEnded } from './built-server.ts';
import { askServer, type FaultBed, open, startFaultBed } from './fault-bed.ts';

interface Row {
  readonly model: string;
  readonly outcome: string;
  readonly error_code: string | null;
  readonly kind: string;
  readonly calls: number;
  readonly requests: number;
  readonly cache: string | null;
  readonly input_tokens: number;
  readonly output_tokens: number;
}

const QUESTION = 'At what temperature is green tea steeped?';

describe('usage rows of calls, over HTTP', () => {
  let bed: FaultBed;
  let hedging: FaultBed;
  beforeAll(async () => {
    bed = await startFaultBed({
      CHAT_MODEL_FALLBACKS: 'openai/second',
      EMBEDDING_MODEL: 'openai/text-embedding-3-small',
      LLM_FIRST_TOKEN_TIMEOUT_MS: '5000',
    });
    hedging = await startFaultBed({ LLM_HEDGE_AFTER_MS: '150', LLM_FIRST_TOKEN_TIMEOUT_MS: '5000' });
  });
  afterAll(() => Promise.all([bed.stop(), hedging.stop()]));

  /** The newest last. */
  async function rowsOf(bot: string, filter = 'kind=chat', { server } = bed): Promise<readonly Row[]> {
    const { body } = await callServer(server, { path: `/v1/usage/calls?bot=${bot}&order=asc&${filter}` });
    return body['data'] as readonly Row[];
  }

  it('are there for a failed call and the fallback that answers', async () => {
    const bot = await bed.bot();
    await bed.ask(bot, { stream: false, always: 'bad_request' });
    expect(await rowsOf(bot.id)).toMatchObject([
      { model: `openai/${bot.model}`, outcome: 'failed', error_code: 'provider_rejected_request', requests: 0 },
      { model: 'openai/second', outcome: 'ok', calls: 1, requests: 1 },
    ]);
  });

  it('name the version of the prompt that was sent', async () => {
    const bot = await bed.bot({ prompt: { text: 'Be brief. {{rules}}{{passages}}' } });
    const path = `/v1/bots/${bot.id}`;
    const { body } = await callServer(bed.server, { path });
    await bed.ask(bot, { stream: true });
    await callServer(bed.server, { method: 'PATCH', path, json: { prompt: null } });
    await bed.ask(bot, { stream: false });
    expect(body['prompt_version']).toMatch(/^custom@/);
    expect(await rowsOf(bot.id)).toMatchObject([
      { prompt_version: body['prompt_version'] },
      { prompt_version: 'open@1' },
    ]);
    const listed = await callServer(bed.server, { path: `${path}/prompts` });
    expect(listed.body['data']).toMatchObject([{ version: body['prompt_version'], active: false }]);
  });

  it('are there for what both calls of a hedged answer have used', async () => {
    const bot = await hedging.bot();
    const seen = await hedging.ask(bot, { stream: true, faults: ['hang_before_byte'] });
    expect(seen, seen.raw).toMatchObject({ status: 200, done: true });
    const rows = await rowsOf(bot.id, 'kind=chat', hedging);
    expect(rows.map(({ outcome, calls }) => `${outcome} ${calls}`).toSorted()).toEqual(['cancelled 1', 'ok 1']);
    expect(rows.reduce((sum, { requests }) => sum + requests, 0)).toBe(1);
    expect(rows.find(({ outcome }) => outcome === 'cancelled')?.input_tokens).toBeGreaterThan(0);
  });

  it('are there for a stream that breaks, with what came', async () => {
    const bot = await bed.bot();
    await bed.ask(bot, { stream: true, always: 'reset_mid_stream' });
    const rows = await rowsOf(bot.id);
    expect(rows).toMatchObject([{ outcome: 'failed', error_code: 'stream_interrupted', requests: 1 }]);
    expect(rows[0]?.output_tokens).toBeGreaterThan(0);
  });

  it('are there for a client that leaves', async () => {
    const bot = await bed.bot();
    Object.assign(bed.standin.settings, { faultModels: [bot.model], fault: 'hang_mid_stream' });
    const { response, leave } = open(bed.server.url, {
      model: bot.id,
      stream: true,
      messages: [{ role: 'user', content: 'Hi' }],
    });
    await new Promise((resolve) => response.then((stream) => stream.once('data', resolve)));
    leave();
    await expect.poll(() => rowsOf(bot.id)).toMatchObject([{ outcome: 'cancelled', calls: 1, requests: 1 }]);
  });

  it('are there for training and questions with a remote embedder, and an answer from the cache costs nothing', async () => {
    const bot = await bed.bot();
    const path = `/v1/bots/${bot.id}/sources`;
    const json = { type: 'text', title: 'Tea', content: 'Green tea is steeped at 75 degrees for two minutes.' };
    bed.standin.settings.fault = 'none';
    const { body } = await callServer(bed.server, { path, json });
    await jobEnded(bed.server, String(body['job_id']));
    const trained = await rowsOf(bot.id, 'kind=embedding');
    expect(trained).toMatchObject([{ model: 'openai/text-embedding-3-small', outcome: 'ok', calls: 1, requests: 0 }]);
    expect(trained[0]?.input_tokens).toBeGreaterThan(0);
    await askServer(bed.server.url, { model: bot.id, stream: false, question: QUESTION });
    expect(await rowsOf(bot.id, 'kind=embedding')).toHaveLength(2);
    const messages = [{ role: 'user', content: QUESTION }];
    for (const cache of ['miss', 'exact']) {
      const answer = await callServer(bed.server, { path: '/v1/chat/completions', json: { model: bot.id, messages } });
      expect(JSON.stringify(answer.body)).toContain(`"cache":"${cache}"`);
    }
    // The question's vector came from memory.
    expect(await rowsOf(bot.id, 'kind=embedding')).toHaveLength(2);
    expect(await rowsOf(bot.id)).toMatchObject([
      { cache: null, calls: 1 },
      { cache: null, calls: 1 },
      { cache: 'exact', calls: 0, requests: 1, cost_usd: 0 },
    ]);
  });
});
