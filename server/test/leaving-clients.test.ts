import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type FaultBed, open, startFaultBed } from './fault-bed.ts';
import type { StandinFault, StandinSettings } from './openai-standin.ts';

/** On an idle machine it takes a few milliseconds; here other tests may have the processor first. */
const AT_ONCE_MS = 2000;
const ENDLESS: Partial<StandinSettings> = { totalTokens: 1_000_000, tokenDelayMs: 20 };

describe('clients that leave', () => {
  let bed: FaultBed;
  beforeAll(async () => {
    const patient = { LLM_FIRST_TOKEN_TIMEOUT_MS: '60000', LLM_IDLE_TOKEN_TIMEOUT_MS: '60000' };
    bed = await startFaultBed({ ...patient, LLM_TOTAL_TIMEOUT_MS: '120000' });
  });
  afterAll(() => bed.stop());

  const windows: readonly (readonly [string, StandinFault, Partial<StandinSettings>])[] = [
    ['before the first byte', 'hang_before_byte', {}],
    ['before the first token', 'hang_after_head', {}],
    ['in mid-stream', 'none', ENDLESS],
  ];

  describe.each([
    ['JSON', false],
    ['a stream', true],
  ])('of %s', (_kind, stream) => {
    it.each(windows)('end the call of the model %s', async (_window, fault, settings) => {
      const { standin, server } = bed;
      Object.assign(standin.settings, { fault, faultModels: null, totalTokens: 0, tokenDelayMs: 0, ...settings });
      const bot = await bed.bot();
      const [before, tokens] = [standin.aborts(), standin.sent.tokens];
      const asked = standin.requests.length;
      const { response, leave } = open(server.url, {
        model: bot.id,
        stream,
        messages: [{ role: 'user', content: 'Hi' }],
      });
      await standin.untilRequest(asked + 1);
      if (settings === ENDLESS)
        await expect.poll(() => standin.sent.tokens - tokens, { interval: 5 }).toBeGreaterThan(3);
      if (stream && settings === ENDLESS) await response;
      const leftAt = performance.now();
      leave();
      expect((await standin.untilAbort(before + 1)) - leftAt).toBeLessThan(AT_ONCE_MS);
      expect(standin.open()).toBe(0);
    });
  });

  it('leave nothing open behind them, however many come and go', async () => {
    const { standin, server } = bed;
    Object.assign(standin.settings, { fault: 'none', faultModels: null, ...ENDLESS });
    const bot = await bed.bot();
    const aborts = standin.aborts();
    const many = 40;
    await Promise.all(
      Array.from({ length: many }, async () => {
        const { response, leave } = open(server.url, {
          model: bot.id,
          stream: true,
          messages: [{ role: 'user', content: 'Hi' }],
        });
        for await (const _ of await response) break;
        leave();
      }),
    );
    await standin.untilAbort(aborts + many);
    expect(standin.open()).toBe(0);
  });
});

describe('a reader that does not read', () => {
  const TOKENS = 400_000;
  let bed: FaultBed;
  beforeAll(async () => {
    const patient = { LLM_IDLE_TOKEN_TIMEOUT_MS: '60000', LLM_TOTAL_TIMEOUT_MS: '120000' };
    // Long ones: the texts alone are more than the connections' own buffers take.
    bed = await startFaultBed(patient, { totalTokens: TOKENS, tokens: [`${'long '.repeat(40)}\n`] });
  });
  afterAll(() => bed.stop());

  /** Resident memory of the server in MB, on Linux. */
  async function memory(): Promise<number> {
    const status = await readFile(`/proc/${bed.server.child.pid}/status`, 'utf8').catch(() => 'VmRSS: 0 kB');
    return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024;
  }

  it('holds the model up instead of filling memory, and ends its call by leaving', async () => {
    const { standin, server } = bed;
    const bot = await bed.bot();
    const messages = [{ role: 'user', content: 'Hi' }];
    const { response, leave } = open(server.url, { model: bot.id, stream: true, messages });
    const answer = await response;
    answer.pause();
    const before = await memory();
    // Nothing flows any more once this many milliseconds have passed without a token.
    const stillFor = 1000;
    let [sent, since] = [standin.sent.tokens, performance.now()];
    while (performance.now() - since < stillFor) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      if (standin.sent.tokens !== sent) [sent, since] = [standin.sent.tokens, performance.now()];
    }
    expect(sent).toBeLessThan(TOKENS / 2);
    expect((await memory()) - before).toBeLessThan(100);
    leave();
    await standin.untilAbort();
    expect(standin.open()).toBe(0);
  });
});
