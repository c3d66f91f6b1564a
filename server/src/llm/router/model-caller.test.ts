import { describe, expect, it } from 'vitest';
import { createFakeChatModel, type FakeReply } from '../../adapters/fakes/index.ts';
import { AppError, createManualClock, type ManualClock, silentLogger, silentMeter } from '../../kernel/index.ts';
import type { ChatModel, ChatModelRequest } from '../ports.ts';
import { readAnswer } from './model-answer.ts';
import type { ModelCallEvent, ModelCallReport } from './model-call.ts';
import { createModelCaller } from './model-caller.ts';

const request: ChatModelRequest = { messages: [{ role: 'user', content: 'Hi' }], grounding: null };

const failure = (code: AppError['code'], options: ConstructorParameters<typeof AppError>[2] = {}): AppError =>
  new AppError(code, 'upstream', { retryable: true, ...options });

function setUp(replies: readonly FakeReply[], changes: { clock?: ManualClock; model?: ChatModel } = {}) {
  const clock = changes.clock ?? createManualClock();
  const model = createFakeChatModel({ replies, clock });
  const caller = createModelCaller({
    model: changes.model ?? model,
    deadlines: { firstTokenMs: 1000, idleTokenMs: 500, totalMs: 5000 },
    retries: { attempts: 3, baseDelayMs: 0, maxDelayMs: 0 },
    counter: { count: (text) => text.split(/\s+/u).filter((word) => word !== '').length },
    clock,
    random: () => 0,
    logger: silentLogger,
    meter: silentMeter,
  });
  return { clock, model, caller };
}

/** Moves the clock whenever all else stands still, until the promise is settled. */
async function settle<Value>(clock: ManualClock, promise: Promise<Value>, stepMs = 100): Promise<Value> {
  let settled = false;
  const watched = promise.finally(() => {
    settled = true;
  });
  watched.catch(() => {});
  while (!settled) await clock.advance(stepMs);
  return watched;
}

async function readAll(events: AsyncIterable<ModelCallEvent>): Promise<{ seen: ModelCallEvent[]; error: unknown }> {
  const seen: ModelCallEvent[] = [];
  try {
    for await (const event of events) seen.push(event);
    return { seen, error: null };
  } catch (error) {
    return { seen, error };
  }
}

const textOf = (events: readonly ModelCallEvent[]): string =>
  events.map((event) => (event.type === 'text-delta' ? event.text : '')).join('');

const start = { type: 'start', attempts: 1, servedBy: 'fake/model', degraded: [] };
const end: ModelCallEvent = { type: 'end', finishReason: 'stop', usage: null };

describe('model caller', () => {
  const run = ({ caller, clock }: ReturnType<typeof setUp>, signal?: AbortSignal) =>
    settle(clock, readAll(caller.stream(request, signal === undefined ? {} : { signal })));

  it('starts, says the text and ends once', async () => {
    const made = setUp(['Hello there, friend']);
    const { seen, error } = await run(made);
    expect(error).toBeNull();
    expect(seen.map((event) => event.type)).toEqual(['start', 'text-delta', 'text-delta', 'text-delta', 'end']);
    expect(textOf(seen)).toBe('Hello there, friend');
    expect(made.model.calls).toEqual([{ request, outcome: 'ended' }]);
  });

  it('gives the whole answer to those who want it at once', async () => {
    const { caller, clock } = setUp([failure('provider_error'), 'Hello there']);
    await expect(settle(clock, readAnswer(caller.stream(request)))).resolves.toEqual({
      text: 'Hello there',
      finishReason: 'stop',
      usage: { inputTokens: 1, outputTokens: 2 },
      attempts: 2,
    });
  });

  describe('before the first visible token', () => {
    it('retries what may be retried and says how many calls it took', async () => {
      const made = setUp([failure('provider_unreachable'), failure('provider_error'), 'Hello']);
      const { seen } = await run(made);
      expect(seen[0]).toMatchObject({ type: 'start', attempts: 3 });
      expect(made.model.calls.map((call) => call.outcome)).toEqual(['failed', 'failed', 'ended']);
    });

    it('does not retry what cannot be helped', async () => {
      const made = setUp([failure('provider_quota_exhausted', { retryable: false })]);
      await expect(run(made)).resolves.toMatchObject({ seen: [], error: { code: 'provider_quota_exhausted' } });
    });

    it('gives up with the last error when the attempts are used up', async () => {
      const made = setUp([failure('provider_error'), failure('provider_error'), failure('provider_rate_limited')]);
      await expect(run(made)).resolves.toMatchObject({ seen: [], error: { code: 'provider_rate_limited' } });
    });

    it('waits as long as the provider asks', async () => {
      const made = setUp([failure('provider_rate_limited', { retryAfterMs: 2000 }), 'Hello']);
      const started = made.clock.now();
      const { error } = await run(made);
      expect(error).toBeNull();
      expect(made.clock.now() - started).toBeGreaterThanOrEqual(2000);
    });

    it('does not wait past the total deadline', async () => {
      const made = setUp([failure('provider_rate_limited', { retryAfterMs: 10_000 })]);
      const started = made.clock.now();
      await expect(run(made)).resolves.toMatchObject({
        error: { code: 'provider_rate_limited', retryAfterMs: 10_000 },
      });
      expect(made.clock.now() - started).toBeLessThan(500);
    });

    it('retries an error that comes after nothing but blanks', async () => {
      const made = setUp([[{ say: '' }, { say: ' \n' }, { fail: failure('provider_error') }], 'Hello']);
      const { seen } = await run(made);
      expect(textOf(seen)).toBe('Hello');
    });

    it('keeps the blanks before the first word', async () => {
      const { seen } = await run(setUp([[{ say: '\n' }, { say: '  ' }, { say: 'Hello' }, { end: 'stop' }]]));
      expect(seen).toEqual([start, { type: 'text-delta', text: '\n  Hello' }, end]);
    });

    it.each([
      ['an end without text', [{ end: 'stop' as const }]],
      ['blanks alone', [{ say: ' ' }, { end: 'stop' as const }]],
    ])('retries %s once', async (_name, empty) => {
      const helped = setUp([empty, 'Hello']);
      expect(textOf((await run(helped)).seen)).toBe('Hello');
      const lost = setUp([empty, empty, 'Hello']);
      await expect(run(lost)).resolves.toMatchObject({ seen: [], error: { code: 'provider_invalid_response' } });
    });

    it.each(['content_filter', 'length'] as const)('takes %s without text as an end', async (finishReason) => {
      const { seen, error } = await run(setUp([[{ end: finishReason }]]));
      expect(error).toBeNull();
      expect(seen).toEqual([start, { type: 'end', finishReason, usage: null }]);
    });

    it('ends a call that does not begin in time and tries another', async () => {
      const made = setUp([[{ hang: true }], 'Hello']);
      const started = made.clock.now();
      const { seen } = await run(made);
      expect(seen[0]).toMatchObject({ type: 'start', attempts: 2 });
      expect(made.clock.now() - started).toBeLessThan(1500);
      expect(made.model.calls[0]?.outcome).toBe('aborted');
    });

    it('ends the whole when the total deadline has passed', async () => {
      const made = setUp([[{ hang: true }], [{ hang: true }], [{ hang: true }], 'Hello']);
      await expect(run(made)).resolves.toMatchObject({ seen: [], error: { code: 'provider_timeout' } });
    });
  });

  describe('after the first visible token', () => {
    it.each([
      ['what the provider said', failure('provider_error'), 'provider_error'],
      ['a broken stream', failure('stream_interrupted'), 'stream_interrupted'],
    ])('passes on %s and retries nothing', async (_name, error, code) => {
      const made = setUp([[{ say: 'Hel' }, { say: 'lo' }, { fail: error }], 'Again']);
      const result = await run(made);
      expect(result.error).toMatchObject({ code });
      expect(textOf(result.seen)).toBe('Hello');
      expect(result.seen.some((event) => event.type === 'end')).toBe(false);
      expect(made.model.calls).toHaveLength(1);
    });

    it('never takes a stream without an end for a whole one', async () => {
      const { seen, error } = await run(setUp([[{ say: 'Hello' }]]));
      expect(error).toMatchObject({ code: 'stream_interrupted' });
      expect(seen.some((event) => event.type === 'end')).toBe(false);
    });

    it('hides the text of errors that are not ours', async () => {
      const broken: ChatModel = {
        id: 'fake/broken',
        async *doStream() {
          yield { type: 'text-delta', text: 'Hello' };
          throw new Error('secret');
        },
      };
      const { error } = await run(setUp([], { model: broken }));
      expect(error).toMatchObject({ code: 'stream_interrupted' });
      expect((error as AppError).message).not.toContain('secret');
    });

    it('ends a stream that falls silent', async () => {
      const made = setUp([[{ say: 'Hello' }, { hang: true }]]);
      const started = made.clock.now();
      await expect(run(made)).resolves.toMatchObject({ error: { code: 'provider_timeout' } });
      expect(made.clock.now() - started).toBeLessThan(1000);
      expect(made.model.calls[0]?.outcome).toBe('aborted');
    });

    it('lets a stream run as long as it keeps talking, up to the total deadline', async () => {
      const token = [{ waitMs: 400 }, { say: ' la' }];
      const short = setUp([[...Array(8).fill(token).flat(), { end: 'stop' }]]);
      await expect(run(short)).resolves.toMatchObject({ error: null });
      const long = setUp([[...Array(20).fill(token).flat(), { end: 'stop' }]]);
      await expect(run(long)).resolves.toMatchObject({ error: { code: 'provider_timeout' } });
    });

    it('does not hold a slow reader against the model', async () => {
      const made = setUp(['Hello there']);
      const seen: ModelCallEvent[] = [];
      for await (const event of made.caller.stream(request)) {
        seen.push(event);
        await made.clock.advance(900);
      }
      expect(seen.at(-1)?.type).toBe('end');
    });
  });

  describe('of every upstream call', () => {
    const reportsOf = async (replies: readonly FakeReply[], readAtMost = 100) => {
      const { caller, clock } = setUp(replies);
      const reports: ModelCallReport[] = [];
      const events = caller.stream(request, { onCall: (report) => void reports.push(report) });
      let read = 0;
      const reading = (async () => {
        for await (const _event of events) {
          read += 1;
          if (read === readAtMost) break;
        }
      })();
      await settle(
        clock,
        reading.catch(() => {}),
      );
      return reports;
    };

    it('tells what it used, as the provider says, else counted', async () => {
      const usage = { inputTokens: 70, outputTokens: 9, cachedInputTokens: 64 };
      await expect(reportsOf([[{ waitMs: 100 }, { say: 'Hello' }, { end: 'stop', usage }]])).resolves.toEqual([
        {
          model: 'fake/model',
          keyFingerprint: null,
          outcome: 'ok',
          errorCode: null,
          usage,
          usageSource: 'provider',
          startedAt: 1_700_000_000_000,
          firstTokenMs: 100,
          durationMs: 100,
        },
      ]);
      await expect(reportsOf([[{ say: 'Hello' }, { say: ' there' }, { end: 'stop' }]])).resolves.toMatchObject([
        { outcome: 'ok', usage: { inputTokens: 5, outputTokens: 2 }, usageSource: 'counted' },
      ]);
    });

    it('tells of those that failed before one that did not', async () => {
      const refused = failure('provider_rate_limited');
      await expect(reportsOf([refused, [{ hang: true }], 'Hello'])).resolves.toMatchObject([
        { outcome: 'failed', errorCode: 'provider_rate_limited', usage: { inputTokens: 0, outputTokens: 0 } },
        { outcome: 'failed', errorCode: 'provider_timeout', usage: { inputTokens: 5, outputTokens: 0 } },
        { outcome: 'ok', errorCode: null },
      ]);
    });

    it('tells of those that broke off, and of those that nobody wanted any more', async () => {
      const broken: FakeReply = [{ say: 'Hello there' }, { fail: failure('stream_interrupted') }];
      await expect(reportsOf([broken])).resolves.toMatchObject([
        { outcome: 'failed', errorCode: 'stream_interrupted', usage: { inputTokens: 5, outputTokens: 2 } },
      ]);
      await expect(reportsOf(['Hello there my friend'], 3)).resolves.toMatchObject([
        { outcome: 'cancelled', errorCode: null, usage: { inputTokens: 5, outputTokens: 2 } },
      ]);
    });
  });

  describe('when nobody wants the answer any more', () => {
    const windows: [string, FakeReply, number][] = [
      ['before the first token', [{ hang: true }], 0],
      ['between tokens', [{ say: 'Hello' }, { hang: true }], 2],
    ];

    it.each(windows)('cancels the call %s when the signal aborts', async (_name, reply, events) => {
      const { caller, model } = setUp([reply]);
      const controller = new AbortController();
      const iterator = caller.stream(request, { signal: controller.signal })[Symbol.asyncIterator]();
      for (let read = 0; read < events; read += 1) await iterator.next();
      const waiting = iterator.next();
      controller.abort(new Error('left'));
      await expect(waiting).rejects.toThrow('left');
      await new Promise(setImmediate);
      expect(model.calls.map((call) => call.outcome)).toEqual(['aborted']);
    });

    it('tells the provider before it books the call: counting tokens may take a while', async () => {
      const order: string[] = [];
      const hanging: ChatModel = {
        id: 'fake/hanging',
        doStream: (_request, { signal }) => ({
          [Symbol.asyncIterator]: () => ({
            next() {
              signal?.addEventListener('abort', () => order.push('provider'));
              return new Promise(() => {});
            },
          }),
        }),
      };
      const { caller } = setUp([], { model: hanging });
      const controller = new AbortController();
      const onCall = (): void => void order.push('books');
      const waiting = readAll(caller.stream(request, { signal: controller.signal, onCall }));
      await new Promise(setImmediate);
      controller.abort(new Error('left'));
      await waiting;
      expect(order).toEqual(['provider', 'books']);
    });

    it.each(windows)('cancels the call %s when the iterator is returned', async (_name, reply, events) => {
      const { caller, model } = setUp([reply]);
      const iterator = caller.stream(request)[Symbol.asyncIterator]();
      for (let read = 0; read < events; read += 1) await iterator.next();
      const waiting = iterator.next();
      const refused = expect(waiting).rejects.toMatchObject({ code: 'request_aborted' });
      await expect(iterator.return?.()).resolves.toEqual({ done: true, value: undefined });
      await refused;
      await new Promise(setImmediate);
      expect(model.calls.map((call) => call.outcome)).toEqual(['aborted']);
    });

    it('cancels the call when the reader stops after any event', async () => {
      for (const stopAt of [1, 2, 3]) {
        const { caller, model } = setUp([[{ say: 'Hello' }, { say: ' there' }, { hang: true }]]);
        let read = 0;
        for await (const _event of caller.stream(request)) {
          read += 1;
          if (read === stopAt) break;
        }
        await new Promise(setImmediate);
        expect(model.calls.map((call) => call.outcome)).toEqual(['left']);
      }
    });

    it('leaves a model that does not heed its signal', async () => {
      const deaf: ChatModel = {
        id: 'fake/deaf',
        doStream: () => ({ [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => {}) }) }),
      };
      const { caller } = setUp([], { model: deaf });
      const controller = new AbortController();
      const waiting = readAll(caller.stream(request, { signal: controller.signal }));
      controller.abort(new Error('left'));
      await expect(waiting).resolves.toMatchObject({ error: { message: 'left' } });
    });

    it('stops waiting for a retry', async () => {
      const { caller, model } = setUp([failure('provider_rate_limited', { retryAfterMs: 1000 }), 'Hello']);
      const controller = new AbortController();
      const waiting = readAll(caller.stream(request, { signal: controller.signal }));
      await new Promise(setImmediate);
      controller.abort(new Error('left'));
      await expect(waiting).resolves.toMatchObject({ error: { message: 'left' } });
      expect(model.calls).toHaveLength(1);
    });

    it('calls nobody when the signal was aborted before', async () => {
      const { caller, model } = setUp(['Hello']);
      await expect(
        readAll(caller.stream(request, { signal: AbortSignal.abort(new Error('left')) })),
      ).resolves.toMatchObject({
        error: { message: 'left' },
      });
      expect(model.calls).toHaveLength(0);
    });
  });
});
