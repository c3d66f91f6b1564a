import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type FaultBed, holdsNothingForeign, type Seen, startFaultBed } from './fault-bed.ts';
import type { StandinFault } from './openai-standin.ts';

const WHOLE = 'Hello there, friend';
/** What is said before a stream breaks. */
const BEGUN = 'Hello there';

const KINDS = [
  ['JSON', false],
  ['a stream', true],
] as const;

/** A whole answer, as if nothing had happened. */
function expectWhole(seen: Seen): void {
  expect(seen, seen.raw).toMatchObject({ status: 200, text: WHOLE, finishReason: 'stop', error: null, done: true });
  expect(seen.usage).toMatchObject({ completion_tokens: expect.any(Number) });
}

/** An error that a client can act on, and nothing committed before it. */
function expectError(seen: Seen): void {
  expect(seen.status, seen.raw).toBeGreaterThanOrEqual(400);
  expect(seen.error?.code, seen.raw).toEqual(expect.any(String));
  expect(seen.text).toBe('');
}

/** What was said, then one error, and neither a finish reason nor `[DONE]`; JSON has said nothing, so it is an error. */
function expectCut(seen: Seen, stream: boolean): void {
  if (stream) {
    expect(seen, seen.raw).toMatchObject({ status: 200, text: BEGUN, finishReason: null, errors: 1, done: false });
  } else {
    expectError(seen);
  }
}

/** Seconds in `Retry-After`; NaN: there is none. */
const retryAfter = ({ headers }: Seen): number => Number(headers['retry-after'] ?? Number.NaN);

const MID_ANSWER = ['hang_mid_stream', 'reset_mid_stream', 'truncated', 'error_event', 'malformed_line'] as const;

describe('faults of a provider, over HTTP', () => {
  let bed: FaultBed;
  beforeAll(async () => {
    bed = await startFaultBed({}, { rateLimitHeaders: { 'retry-after': '0.2' } });
  });
  afterAll(() => bed.stop());

  const passing: readonly StandinFault[] = [
    'error_500',
    'error_503',
    'error_529',
    'html_502',
    'rate_limit',
    'reset_before_byte',
    'error_event_first',
    'error_after_role',
    'error_in_200',
    'empty_stream',
    'empty_body',
    'malformed_json',
    'hang_before_byte',
    'hang_after_head',
  ];

  it.each(MID_ANSWER)('makes an answer in JSON anew when the model breaks off once: %s', async (fault) => {
    const bot = await bed.bot();
    const seen = await bed.ask(bot, { stream: false, faults: [fault] });
    expectWhole(seen);
    expect(bed.calls(bot.model)).toBe(2);
  });

  describe.each(KINDS)('%s', (_kind, stream) => {
    it.each(passing)('is whole when %s comes once: nothing was said yet, so it is tried again', async (fault) => {
      const bot = await bed.bot();
      const seen = await bed.ask(bot, { stream, faults: [fault] });
      expectWhole(seen);
      expect(bed.calls(bot.model)).toBe(2);
      expect(seen.headers['x-chatsphere-attempts']).toBe('2');
    });

    it.each(passing)('is an error of ours when %s never ends', async (fault) => {
      const bot = await bed.bot();
      const seen = await bed.ask(bot, { stream, always: fault });
      expectError(seen);
      expect([429, 502, 503, 504]).toContain(seen.status);
      expect(holdsNothingForeign(seen)).toBe(true);
      expect(bed.calls(bot.model)).toBeLessThanOrEqual(4);
      if ([429, 503].includes(seen.status)) expect(retryAfter(seen)).toBeGreaterThan(0);
    });

    it('is a 502 when the connection broke, and not the 503 of a provider that is away', async () => {
      const seen = await bed.ask(await bed.bot(), { stream, always: 'reset_before_byte' });
      expect(seen).toMatchObject({ status: 502, error: { code: 'stream_interrupted' } });
    });

    it('asks again no earlier than the provider wishes', async () => {
      const seen = await bed.ask(await bed.bot(), { stream, faults: ['rate_limit'] });
      expectWhole(seen);
      expect(seen.milliseconds).toBeGreaterThanOrEqual(200);
    });

    it.each([
      ['quota', 'provider_quota_exhausted'],
      ['unauthorized', 'provider_authentication_failed'],
      ['forbidden', 'provider_authentication_failed'],
      ['not_found', 'provider_rejected_request'],
      ['bad_request', 'provider_rejected_request'],
      ['context_length', 'context_length_exceeded'],
    ] as const)('does not try again what cannot succeed: %s', async (fault, code) => {
      const bot = await bed.bot();
      const seen = await bed.ask(bot, { stream, always: fault });
      expectError(seen);
      expect(seen.error?.code).toBe(code);
      expect(bed.calls(bot.model)).toBe(1);
      expect(holdsNothingForeign(seen)).toBe(true);
    });

    it.each(['malformed_json', 'empty_body', 'empty_stream'] as const)('tries %s again once alone', async (fault) => {
      const bot = await bed.bot();
      const seen = await bed.ask(bot, { stream, always: fault });
      expect(seen).toMatchObject({ status: 502, error: { code: 'provider_invalid_response' } });
      expect(bed.calls(bot.model)).toBe(2);
    });

    it.each(MID_ANSWER)('never ends well when the model breaks off: %s', async (fault) => {
      const bot = await bed.bot();
      const seen = await bed.ask(bot, { stream, always: fault });
      expectCut(seen, stream);
      expect(holdsNothingForeign(seen)).toBe(true);
      if (stream) {
        expect(bed.calls(bot.model)).toBe(1);
        expect(seen.raw).toMatch(/^data: \{"error":.*"usage":\{"prompt_tokens":[1-9]\d*,"completion_tokens":[1-9]/m);
      } else expect(retryAfter(seen)).toBeGreaterThan(0);
      expect(bed.calls(bot.model)).toBeLessThanOrEqual(4);
    });

    it.each(['no_done', 'crlf', 'split_utf8', 'ignores_stream', 'slow_stream'] as const)(
      'is whole in spite of %s',
      async (fault) => {
        expectWhole(await bed.ask(await bed.bot(), { stream, always: fault }));
      },
    );

    it('keeps characters whole that the packets split', async () => {
      const { tokens } = bed.standin.settings;
      bed.standin.settings.tokens = ['é', '€', '😀', ' ok'];
      try {
        const seen = await bed.ask(await bed.bot(), { stream, always: 'split_utf8' });
        expect(seen).toMatchObject({ status: 200, text: 'é€😀 ok', finishReason: 'stop' });
      } finally {
        bed.standin.settings.tokens = tokens;
      }
    });

    it('passes on that the provider’s filter has cut the answer', async () => {
      const seen = await bed.ask(await bed.bot(), { stream, always: 'content_filter' });
      expect(seen).toMatchObject({ status: 200, finishReason: 'content_filter', error: null, done: true });
    });
  });
});
