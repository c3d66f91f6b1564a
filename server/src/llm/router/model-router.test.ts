import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createFakeChatModel, type FakeChatModel, type FakeReply } from '../../adapters/fakes/index.ts';
import { AppError, createManualClock, type ErrorCode, type ManualClock, silentLogger } from '../../kernel/index.ts';
import { createMemoryCircuitStates } from '../../resilience/index.ts';
import type { ChatModelRequest } from '../ports.ts';
import type { HedgeAfter, RetryPolicy } from './begin-answer.ts';
import { createExtractiveResort, type LastResort } from './last-resort.ts';
import { readAnswer } from './model-answer.ts';
import type { ModelCallEvent, ModelCallOptions, ModelCallReport } from './model-call.ts';
import { createModelChain } from './model-chain.ts';
import { createModelHealth } from './model-health.ts';
import { createModelRouter } from './model-router.ts';
import { circuitOf } from './model-target.ts';
import { createRotation } from './rotation.ts';

const request: ChatModelRequest = { messages: [{ role: 'user', content: 'Hi' }], grounding: null };
const passage = { index: 1, title: 'Leave', headingPath: [], text: 'Four hours.', score: 1 };
const grounded: ChatModelRequest = {
  ...request,
  grounding: { question: 'How much leave?', passages: [passage], refusalMessage: 'No.' },
};

const failure = (code: ErrorCode, retryAfterMs?: number): AppError =>
  new AppError(code, code, {
    retryable: !/quota|authentication|context|rejected/.test(code),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  });

interface Scene {
  /** By rank; the replies of each key of each model of that rank. */
  readonly ranks: readonly (readonly (readonly FakeReply[])[])[];
  readonly hedgeAfter?: HedgeAfter;
  readonly retries?: Partial<RetryPolicy>;
  readonly extractive?: readonly FakeReply[];
  readonly random?: () => number;
}

function setUp({ ranks, hedgeAfter = null, retries = {}, extractive, random = () => 0 }: Scene) {
  const clock = createManualClock();
  const measures: string[] = [];
  const meter = {
    count: (name: string, labels: object) => void measures.push([name, ...Object.values(labels)].join(' ')),
    observe: () => {},
    gauge: (name: string, labels: object, value: number) =>
      void measures.push([name, ...Object.values(labels), value].join(' ')),
  };
  const models: FakeChatModel[][] = ranks.map((keys, rank) =>
    keys.map((replies) => createFakeChatModel({ id: `fake/m${rank}`, replies, clock })),
  );
  const entries = models.map((keys, rank) => ({
    rank,
    weight: 1,
    targets: keys.map((model, key) => ({ model, keyFingerprint: `k${key}` })),
    // The first key first, always.
    keys: { next: () => keys.map((_, place) => place), any: () => keys.map((_, place) => place) },
  }));
  const health = createModelHealth({
    ...{ states: createMemoryCircuitStates(clock), clock, logger: silentLogger, meter, random: () => 0.5 },
  });
  const stand = createFakeChatModel({ id: 'chatsphere/extractive', replies: extractive ?? [], clock });
  const router = createModelRouter({
    chain: createModelChain(entries, () => 0),
    health,
    deadlines: { firstTokenMs: 1000, idleTokenMs: 500, totalMs: 5000 },
    retries: { budget: 2, baseDelayMs: 100, maxDelayMs: 1000, patienceMs: 1000, ...retries },
    hedgeAfter,
    lastResorts: extractive === undefined ? [] : [createExtractiveResort(stand)],
    random,
    counter: { count: (text) => text.length },
    clock,
    logger: silentLogger,
    meter,
  });
  return { router, clock, models, health, measures };
}

type Made = ReturnType<typeof setUp>;

async function settle<Value>(clock: ManualClock, promise: Promise<Value>, stepMs = 50): Promise<Value> {
  let settled = false;
  const watched = promise.finally(() => {
    settled = true;
  });
  watched.catch(() => {});
  while (!settled) await clock.advance(stepMs);
  return watched;
}

interface Result {
  readonly events: readonly ModelCallEvent[];
  readonly error: unknown;
  readonly reports: readonly ModelCallReport[];
  readonly tookMs: number;
}

async function ask({ router, clock }: Made, asked = request, options: ModelCallOptions = {}): Promise<Result> {
  const reports: ModelCallReport[] = [];
  const startedAt = clock.now();
  const reading = (async () => {
    const events: ModelCallEvent[] = [];
    try {
      const stream = router.stream(asked, { ...options, onCall: (report) => void reports.push(report) });
      for await (const event of stream) events.push(event);
      return { events, error: null };
    } catch (error) {
      return { events, error };
    }
  })();
  const { events, error } = await settle(clock, reading);
  return { events, error, reports, tookMs: clock.now() - startedAt };
}

const startOf = ({ events }: Result): ModelCallEvent | undefined => events[0];
const callsOf = ({ models }: Made): number[][] => models.map((keys) => keys.map(({ calls }) => calls.length));
const served = (servedBy: string, attempts: number, degraded: readonly string[] = []) => ({
  type: 'start',
  servedBy,
  attempts,
  degraded,
});

describe('model router', () => {
  describe('before the first visible token', () => {
    it.each<ErrorCode>(['provider_error', 'stream_interrupted'])(
      'after %s calls the same once more, then the next model, and says so',
      async (code) => {
        const made = setUp({ ranks: [[[failure(code), failure(code)]], [['Hello']]] });
        const result = await ask(made);
        expect(startOf(result)).toEqual(served('fake/m1', 3, ['fallback_model']));
        expect(callsOf(made)).toEqual([[2], [1]]);
        expect(made.measures).toContain('chatsphere_model_fallbacks_total fake/m1');
        expect(result.reports.map(({ model, outcome }) => `${model} ${outcome}`)).toEqual([
          'fake/m0 failed',
          'fake/m0 failed',
          'fake/m1 ok',
        ]);
      },
    );

    it('goes to the next model at once when a provider is not reached: it will not be reached in a moment either', async () => {
      const made = setUp({ ranks: [[[failure('provider_unreachable')]], [['Hello']]] });
      const result = await ask(made);
      expect(startOf(result)).toEqual(served('fake/m1', 2, ['fallback_model']));
      expect(callsOf(made)).toEqual([[1], [1]]);
    });

    it('has the answer of another model within a second of a refused connection', async () => {
      const refused = failure('provider_unreachable');
      const made = setUp({ ranks: [[[refused, refused]], [['Hello']]], random: () => 0.999 });
      const result = await ask(made);
      expect(startOf(result)).toMatchObject({ servedBy: 'fake/m1' });
      expect(result.tookMs).toBeLessThanOrEqual(1000);
    });

    it('goes on at once from a model that does not begin in time, and cancels its call', async () => {
      const made = setUp({ ranks: [[[[{ hang: true }]]], [['Hello']]] });
      const result = await ask(made);
      expect(startOf(result)).toEqual(served('fake/m1', 2, ['fallback_model']));
      expect(made.models[0]?.[0]?.calls[0]?.outcome).toBe('aborted');
      expect(result.reports[0]).toMatchObject({ outcome: 'failed', errorCode: 'provider_timeout' });
    });

    it('goes on at once when a connection took long to fail', async () => {
      const slow: FakeReply = [{ waitMs: 900 }, { waitMs: 600 }, { fail: failure('provider_unreachable') }];
      const made = setUp({ ranks: [[[slow]], [['Hello']]] });
      // Its first-token deadline would end it earlier.
      made.clock.advance(0).catch(() => {});
      await ask(made);
      expect(callsOf(made)).toEqual([[1], [1]]);
    });

    it.each<ErrorCode>(['provider_authentication_failed', 'provider_quota_exhausted'])(
      'after %s takes the next key at once, and spares the one for a minute',
      async (code) => {
        const made = setUp({
          ranks: [
            [
              [failure(code), 'Hello'],
              ['Hello', 'Hello', 'Hello'],
            ],
          ],
        });
        const result = await ask(made);
        expect(startOf(result)).toEqual(served('fake/m0', 2));
        expect(result.tookMs).toBeLessThanOrEqual(100);
        await ask(made);
        expect(callsOf(made)).toEqual([[1, 2]]);
        expect(made.measures).toContain(`chatsphere_model_rests_total fake/m0 ${code}`);
        await made.clock.advance(60_000);
        await ask(made);
        expect(callsOf(made)).toEqual([[2, 2]]);
      },
    );

    it('never calls a refused key again for the same answer', async () => {
      const made = setUp({ ranks: [[[failure('provider_quota_exhausted'), 'never']]] });
      expect(await ask(made)).toMatchObject({ error: { code: 'provider_quota_exhausted', retryAfterMs: 60_000 } });
      expect(callsOf(made)).toEqual([[1]]);
    });

    it('takes the next key, then the next model, when one is limited, and spares it as long as it was told', async () => {
      const limited = failure('provider_rate_limited', 30_000);
      const made = setUp({ ranks: [[[limited], [limited]], [['Hello', 'Hello']]] });
      expect(startOf(await ask(made))).toEqual(served('fake/m1', 3, ['fallback_model']));
      const second = await ask(made);
      expect(startOf(second)).toEqual(served('fake/m1', 1, ['fallback_model']));
      expect(second.tookMs).toBeLessThanOrEqual(100);
    });

    it('waits as long as it was told when there is nowhere else to go, if that is not long', async () => {
      const made = setUp({ ranks: [[[failure('provider_rate_limited', 1000), 'Hello']]] });
      const result = await ask(made);
      expect(startOf(result)).toEqual(served('fake/m0', 2));
      expect(result.tookMs).toBeGreaterThanOrEqual(1000);
      const impatient = setUp({ ranks: [[[failure('provider_rate_limited', 4000), 'Hello']]] });
      const refused = await ask(impatient);
      expect(refused).toMatchObject({ error: { code: 'provider_rate_limited' } });
      expect((refused.error as AppError).retryAfterMs).toBeGreaterThan(3800);
      expect(refused.tookMs).toBeLessThanOrEqual(100);
    });

    it('does not wait again and again: what it was told counts together', async () => {
      const limited = Array.from({ length: 3 }, () => failure('provider_rate_limited', 600));
      const made = setUp({ ranks: [[limited]] });
      const { error, tookMs } = await ask(made);
      expect(error).toMatchObject({ code: 'provider_rate_limited' });
      expect(callsOf(made)).toEqual([[2]]);
      expect(tookMs).toBeLessThanOrEqual(800);
    });

    it('gives nonsense one more chance in the whole answer', async () => {
      const nonsense = failure('provider_invalid_response');
      const empty: FakeReply = [{ end: 'stop' }];
      const made = setUp({ ranks: [[[empty, nonsense]], [[nonsense]], [['Hello']]] });
      expect(startOf(await ask(made))).toEqual(served('fake/m2', 4, ['fallback_model']));
      expect(callsOf(made)).toEqual([[2], [1], [1]]);
    });

    it('lets another model try what is too long for one, and else tells the client', async () => {
      const tooLong = failure('context_length_exceeded');
      expect(startOf(await ask(setUp({ ranks: [[[tooLong]], [['Hello']]] })))).toMatchObject({ servedBy: 'fake/m1' });
      const made = setUp({ ranks: [[[tooLong]], [[tooLong]]], extractive: ['Sentence.'] });
      const { error } = await ask(made, grounded);
      expect(error).toMatchObject({ code: 'context_length_exceeded', retryAfterMs: undefined });
      expect(made.health.circuits.state('fake/m0 k0')).toBe('closed');
    });

    it('spends one budget for the whole chain', async () => {
      const down = Array.from({ length: 9 }, () => failure('provider_error'));
      const made = setUp({ ranks: [[down, down], [down], [down]], retries: { budget: 2 } });
      const result = await ask(made);
      expect(result.error).toMatchObject({ code: 'provider_error' });
      expect(result.reports).toHaveLength(4 + 2);
    });

    it('ends the whole chain at the total deadline', async () => {
      const hung: FakeReply[] = Array.from({ length: 9 }, () => [{ hang: true }]);
      const made = setUp({ ranks: [[hung], [hung], [hung], [hung], [hung], [hung], [hung]] });
      const result = await ask(made);
      expect(result.error).toMatchObject({ code: 'provider_timeout' });
      expect(result.tookMs).toBeLessThanOrEqual(5200);
    });

    it('takes a call of a tool for the begin of an answer', async () => {
      const broken = createFakeChatModel({ id: 'fake/x' });
      broken.willReply('unused');
      const made = setUp({ ranks: [[[[{ say: ' ' }, { fail: failure('provider_error') }], 'Hello']]] });
      expect(startOf(await ask(made))).toEqual(served('fake/m0', 2));
    });
  });

  it('after the first visible token gives one error, and neither another model nor an end', async () => {
    const cut: FakeReply = [{ say: 'Hel' }, { fail: failure('provider_error') }];
    const made = setUp({ ranks: [[[cut]], [['Hello']]], extractive: ['Sentence.'] });
    const { events, error } = await ask(made, grounded);
    expect(error).toMatchObject({ code: 'provider_error' });
    expect(events.map(({ type }) => type)).toEqual(['start', 'text-delta']);
    expect(callsOf(made)).toEqual([[1], [0]]);
  });

  describe('circuits', () => {
    const down = (): readonly FakeReply[] => Array.from({ length: 100 }, () => failure('provider_error'));

    it('spare a model that is down: hardly a call, and an answer or a 503 at once', async () => {
      const made = setUp({ ranks: [[down()], [down()]] });
      for (let round = 0; round < 5; round += 1) await ask(made);
      expect(made.health.circuits.state('fake/m0 k0')).toBe('open');
      expect(made.measures).toContain('chatsphere_model_circuit_state fake/m0 k0 2');
      const before = callsOf(made).flat();
      const results: Result[] = [];
      for (let round = 0; round < 10; round += 1) results.push(await ask(made));
      expect(callsOf(made).flat()).toEqual(before);
      for (const { error, tookMs } of results) {
        expect(error).toMatchObject({ code: 'provider_unavailable', retryable: true });
        expect((error as AppError).retryAfterMs).toBeGreaterThanOrEqual(1000);
        expect(tookMs).toBeLessThanOrEqual(100);
      }
    });

    it('let exactly one call find out whether it is up again', async () => {
      const made = setUp({
        ranks: [
          [[...down().slice(0, 5), [{ waitMs: 300 }, { say: 'Up' }, { end: 'stop' }], 'Up']],
          [['a', 'b', 'c', 'd', 'e', 'f']],
        ],
      });
      while (made.health.circuits.state('fake/m0 k0') === 'closed') await ask(made);
      await made.clock.advance(3000);
      const results = await Promise.all([ask(made), ask(made), ask(made)]);
      expect(results.map((result) => (startOf(result) as { servedBy: string }).servedBy).toSorted()).toEqual([
        'fake/m0',
        'fake/m1',
        'fake/m1',
      ]);
      expect(startOf(await ask(made))).toMatchObject({ servedBy: 'fake/m0' });
    });

    it('learn nothing from clients that leave', async () => {
      const made = setUp({ ranks: [[Array.from({ length: 9 }, () => [{ hang: true }] as FakeReply)]] });
      for (let round = 0; round < 8; round += 1) {
        const controller = new AbortController();
        const reports: ModelCallReport[] = [];
        const options = { signal: controller.signal, onCall: (report: ModelCallReport) => void reports.push(report) };
        const reading = readAnswer(made.router.stream(request, options)).catch(() => {});
        await made.clock.advance(10);
        controller.abort(new Error('left'));
        await reading;
        expect(reports).toMatchObject([{ outcome: 'cancelled' }]);
      }
      expect(made.health.circuits.state('fake/m0 k0')).toBe('closed');
    });

    it('count streams that break', async () => {
      const cut: FakeReply = [{ say: 'Hel' }, { fail: failure('stream_interrupted') }];
      const made = setUp({ ranks: [[Array.from({ length: 5 }, () => cut)]] });
      for (let round = 0; round < 5; round += 1) await ask(made);
      expect(made.health.circuits.state('fake/m0 k0')).toBe('open');
    });
  });

  describe('last resorts', () => {
    const cached = (text: string | null, step = 'cached_answer'): LastResort => ({
      step,
      begin: async () =>
        text === null
          ? null
          : { servedBy: 'fake/earlier', events: createFakeChatModel({ replies: [text] }).doStream(request, {}) },
    });
    const dead = { ranks: [[[failure('provider_quota_exhausted')]]] };

    it('answer from the passages when no model can, and say so', async () => {
      const made = setUp({ ...dead, extractive: ['Four hours [1].'] });
      const result = await ask(made, grounded);
      expect(startOf(result)).toEqual(served('chatsphere/extractive', 1, ['extractive_answer']));
      expect(result.events.at(-1)).toMatchObject({ type: 'end', finishReason: 'stop' });
    });

    it('come in their order: those of the request first', async () => {
      const made = setUp({ ...dead, extractive: ['Four hours [1].'] });
      const broken: LastResort = { step: 'broken', begin: () => Promise.reject(new Error('no')) };
      const lastResorts = [broken, cached(null), cached('As said before.')];
      const result = await ask(made, grounded, { lastResorts });
      expect(startOf(result)).toEqual(served('fake/earlier', 1, ['cached_answer']));
    });

    it('leave the error when there are no passages', async () => {
      const made = setUp({ ...dead, extractive: ['Four hours [1].'] });
      expect(await ask(made)).toMatchObject({ error: { code: 'provider_quota_exhausted' } });
    });
  });

  describe('hedging', () => {
    const late = (text: string, waitMs: number): FakeReply => [{ waitMs }, { say: text }, { end: 'stop' }];

    it('is off unless asked for', async () => {
      const made = setUp({ ranks: [[[late('Late', 900)], ['Early']]] });
      await ask(made);
      expect(callsOf(made)).toEqual([[1, 0]]);
    });

    it('makes a second call when the first is slow; the one that begins first answers, the other is cancelled', async () => {
      const made = setUp({ ranks: [[[late('Late', 900)], [late('Early', 100)]]], hedgeAfter: 300 });
      const result = await ask(made);
      expect(startOf(result)).toEqual(served('fake/m0', 2));
      expect(result.reports.map(({ keyFingerprint, outcome }) => `${keyFingerprint} ${outcome}`)).toEqual([
        'k0 cancelled',
        'k1 ok',
      ]);
      expect(made.models[0]?.[0]?.calls[0]?.outcome).toBe('aborted');
      expect(made.measures).toContain('chatsphere_model_hedges_total fake/m0 won');
    });

    it('keeps the first when that begins first after all, and asks nobody when it is quick', async () => {
      const made = setUp({ ranks: [[[late('First', 400), 'Quick'], [late('Second', 900)]]], hedgeAfter: 300 });
      const result = await ask(made);
      expect(result.reports.map(({ keyFingerprint, outcome }) => `${keyFingerprint} ${outcome}`)).toEqual([
        'k1 cancelled',
        'k0 ok',
      ]);
      await ask(made);
      expect(callsOf(made)).toEqual([[2, 1]]);
    });

    it('goes on with the second when the first fails meanwhile, and to the next model when both do', async () => {
      const failing: FakeReply = [{ waitMs: 400 }, { fail: failure('provider_timeout') }];
      const made = setUp({ ranks: [[[failing], [late('Second', 500)]]], hedgeAfter: 300 });
      expect(startOf(await ask(made))).toEqual(served('fake/m0', 2));
      const lost = setUp({ ranks: [[[failing, failing]], [['Hello']]], hedgeAfter: 300 });
      expect(startOf(await ask(lost))).toEqual(served('fake/m1', 3, ['fallback_model']));
    });

    it('waits as long as the model usually takes', async () => {
      const quick = Array.from({ length: 20 }, () => late('Quick', 100));
      const made = setUp({ ranks: [[[...quick, late('Late', 900)], Array(9).fill('Second')]], hedgeAfter: 'p95' });
      for (let round = 0; round < 20; round += 1) await ask(made);
      const result = await ask(made);
      expect(result.reports.map(({ outcome }) => outcome)).toEqual(['cancelled', 'ok']);
    });
  });

  it('spends no more calls and no longer waits than it may, whatever fails', async () => {
    const codes: ErrorCode[] = [
      'provider_error',
      'provider_unreachable',
      'provider_timeout',
      'provider_rate_limited',
      'provider_invalid_response',
      'provider_quota_exhausted',
      'context_length_exceeded',
      'provider_rejected_request',
    ];
    const reply = fc.tuple(fc.constantFrom(...codes), fc.option(fc.integer({ min: 0, max: 10_000 })));
    const replies = fc.array(reply, { minLength: 6, maxLength: 6 });
    const ranks = fc.array(fc.array(replies, { minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 3 });
    await fc.assert(
      fc.asyncProperty(
        ranks,
        fc.integer({ min: 0, max: 4 }),
        fc.double({ min: 0, max: 0.999, noNaN: true }),
        async (given, budget, chance) => {
          const toFailures = given.map((keys) =>
            keys.map((key) =>
              key.map(([code, wait]) =>
                failure(code, code === 'provider_rate_limited' ? (wait ?? undefined) : undefined),
              ),
            ),
          );
          const made = setUp({ ranks: toFailures, retries: { budget }, random: () => chance });
          const result = await ask(made);
          const targets = given.flat().length;
          expect(result.error).toBeInstanceOf(AppError);
          expect(result.reports.length).toBeLessThanOrEqual(targets + budget);
          // One wait for what was asked (3 s at most) and one random one a retry.
          const mostWaits = Array.from({ length: budget }, (_, retry) => 3000 + Math.min(1000, 100 * 2 ** retry));
          expect(result.tookMs).toBeLessThanOrEqual(
            Math.min(
              5000,
              mostWaits.reduce((sum, ms) => sum + ms, 0),
            ) + 500,
          );
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe('chain of models', () => {
  const model = (id: string, keys = 1) =>
    Array.from({ length: keys }, (_, key) => ({ model: createFakeChatModel({ id }), keyFingerprint: `k${key}` }));

  it('shares the calls among entries of equal rank and among keys by weight', () => {
    const chain = createModelChain(
      [
        { rank: 0, weight: 3, targets: model('a/big', 2), keys: createRotation([1, 1], () => 0) },
        { rank: 0, weight: 1, targets: model('a/small'), keys: createRotation([1], () => 0) },
        { rank: 1, weight: 1, targets: model('b/other'), keys: createRotation([1], () => 0) },
      ],
      () => 0,
    );
    const orders = Array.from({ length: 40 }, () => chain.order());
    const firsts = orders.map(([first]) => first && circuitOf(first.target));
    const count = (name: string): number => firsts.filter((first) => first === name).length;
    expect([count('a/big k0'), count('a/big k1'), count('a/small k0')]).toEqual([15, 15, 10]);
    for (const order of orders) {
      expect(order.map(({ target }) => circuitOf(target)).toSorted()).toEqual([
        'a/big k0',
        'a/big k1',
        'a/small k0',
        'b/other k0',
      ]);
      expect(order.at(-1)?.rank).toBe(1);
    }
  });

  it('gives every place its share, exactly, over any run of the weights', () => {
    const weights = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(weights, (given) => {
        const rotation = createRotation(given, () => 0);
        const turns = given.map(() => 0);
        const total = given.reduce((sum, weight) => sum + weight, 0);
        for (let turn = 0; turn < total * 3; turn += 1) {
          const order = rotation.next();
          expect(order.toSorted()).toEqual(given.map((_, place) => place));
          const first = order[0] ?? 0;
          turns[first] = (turns[first] ?? 0) + 1;
        }
        expect(turns).toEqual(given.map((weight) => weight * 3));
      }),
    );
  });
});

describe('an answer that nobody reads before its end', () => {
  const whole = { wholeAnswer: true };
  const cut = { fail: failure('stream_interrupted') };

  const broken = [{ say: 'Fo' }, cut];

  it('is made again when it breaks off in the middle, and nothing of the first is in it', async () => {
    const made = setUp({
      ranks: [
        [
          [
            [{ say: 'Fo' }, cut],
            [{ say: 'Four' }, { say: ' hours.' }, { end: 'stop' }],
          ],
        ],
      ],
    });
    const { events, error, reports } = await ask(made, request, whole);
    expect(error).toBeNull();
    expect(events).toMatchObject([
      { type: 'start', attempts: 2, servedBy: 'fake/m0', degraded: [] },
      { type: 'text-delta', text: 'Four' },
      { type: 'text-delta', text: ' hours.' },
      { type: 'end', finishReason: 'stop' },
    ]);
    expect(reports.map(({ outcome }) => outcome)).toEqual(['failed', 'ok']);
    expect(reports[0]?.usage.outputTokens).toBe('Fo'.length);
  });

  it('comes from the next model when the first hangs in the middle', async () => {
    const made = setUp({ ranks: [[[[{ say: 'Fo' }, { hang: true }]]], [[[{ say: 'Four.' }, { end: 'stop' }]]]] });
    const { events, tookMs } = await ask(made, request, whole);
    expect(events[0]).toMatchObject({ servedBy: 'fake/m1', degraded: ['fallback_model'] });
    expect(tookMs).toBeLessThan(1000);
  });

  it('is quoted from passages when every model breaks off', async () => {
    const made = setUp({ ranks: [[[broken, broken, broken]]], extractive: [[{ say: 'Quote [1].' }, { end: 'stop' }]] });
    const { events } = await ask(made, grounded, whole);
    expect(events[0]).toMatchObject({ servedBy: 'chatsphere/extractive', degraded: ['extractive_answer'] });
  });

  it('breaks off for whoever reads it as it comes', async () => {
    const made = setUp({ ranks: [[[[{ say: 'Fo' }, cut]]], [[[{ say: 'Four.' }, { end: 'stop' }]]]] });
    const { events, error } = await ask(made);
    expect(events).toMatchObject([{ type: 'start', servedBy: 'fake/m0' }, { text: 'Fo' }]);
    expect(error).toMatchObject({ code: 'stream_interrupted' });
  });
});
