import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createManualClock } from '../kernel/index.ts';
import { type Broadcast, type BroadcastOptions, createBroadcast } from './broadcast.ts';

const turn = () => new Promise((resolve) => setImmediate(resolve));

/** A producer that is told by hand what to say. */
function makeHeld(options: Partial<BroadcastOptions<number>> = {}) {
  const said: number[] = [];
  let ending: { error?: unknown } | null = null;
  let wake = (): void => {};
  let asked = 0;
  const told = { aborted: null as unknown, cleaned: false };
  const broadcast = createBroadcast<number>({
    async *produce(signal) {
      signal.addEventListener('abort', () => {
        told.aborted = signal.reason;
        wake();
      });
      try {
        for (;;) {
          asked += 1;
          while (said.length === 0 && ending === null && !signal.aborted) {
            await new Promise<void>((resolve) => {
              wake = resolve;
            });
          }
          signal.throwIfAborted();
          const item = said.shift();
          if (item !== undefined) yield item;
          else if (ending !== null && 'error' in ending) throw ending.error;
          else return;
        }
      } finally {
        told.cleaned = true;
      }
    },
    ...options,
  });
  return {
    broadcast,
    told,
    asked: () => asked,
    say(...items: number[]) {
      said.push(...items);
      wake();
    },
    end(how: { error?: unknown } = {}) {
      ending = how;
      wake();
    },
  };
}

/** Reads to the end; what was read stays visible meanwhile. */
function follow(broadcast: Broadcast<number>, options?: Parameters<Broadcast<number>['read']>[0]) {
  const got: number[] = [];
  const numbers: number[] = [];
  const reading = broadcast.read(options);
  const end = (async () => {
    try {
      for await (const { first, items } of reading) {
        for (const [place, item] of items.entries()) {
          got.push(item);
          numbers.push(first + place);
        }
      }
      return 'ended';
    } catch (error) {
      return error;
    }
  })();
  return { got, numbers, end, leave: () => reading.return?.() };
}

describe('a broadcast', () => {
  it('gives every reader everything after its number, in order, whenever it comes, then the end or the error', async () => {
    type Step = 'say' | 'turn' | 'join' | 'leave';
    const steps = fc.array(fc.constantFrom<Step>('say', 'say', 'turn', 'join', 'leave'), { maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(
        steps,
        fc.array(fc.nat(12), { minLength: 1 }),
        fc.boolean(),
        async (moves, cursors, doesFail) => {
          const { broadcast, say, end, told } = makeHeld();
          const stays = [{ after: 0, ...follow(broadcast) }];
          const leaves = [];
          let item = 0;
          for (const [place, move] of moves.entries()) {
            const after = cursors[place % cursors.length] ?? 0;
            if (move === 'say') say(++item);
            else if (move === 'turn') await turn();
            else if (move === 'join') stays.push({ after, ...follow(broadcast, { after }) });
            else {
              const passer = { after, ...follow(broadcast, { after }) };
              leaves.push(passer);
              await turn();
              await passer.leave();
            }
          }
          const error = new Error('broke');
          end(doesFail ? { error } : {});
          await turn();
          stays.push({ after: 0, ...follow(broadcast) });
          for (const reader of stays) {
            expect(await reader.end).toBe(doesFail ? error : 'ended');
            const all = Array.from(
              { length: Math.max(0, item - reader.after) },
              (_, place) => reader.after + place + 1,
            );
            expect(reader.got).toEqual(all);
            expect(reader.numbers).toEqual(all);
          }
          for (const { got, after, end: left } of leaves) {
            expect(await left).toBe('ended');
            expect(got).toEqual(got.map((_, place) => after + place + 1));
          }
          expect(told).toEqual({ aborted: null, cleaned: true });
          expect([broadcast.readers, broadcast.isOver, broadcast.latest]).toEqual([0, true, item]);
        },
      ),
    );
  });

  it('joins what comes in one turn, and reports it once', async () => {
    const reported: unknown[] = [];
    const { broadcast, say, end } = makeHeld({ onBatch: (batch) => reported.push(batch) });
    const reading = broadcast.read();
    say(1, 2, 3);
    expect((await reading.next()).value).toEqual({ first: 1, items: [1, 2, 3] });
    say(4);
    expect((await reading.next()).value).toEqual({ first: 4, items: [4] });
    end();
    expect(await reading.next()).toEqual({ done: true, value: undefined });
    expect(reported).toEqual([
      { first: 1, items: [1, 2, 3] },
      { first: 4, items: [4] },
    ]);
    expect(broadcast.failure).toBe(null);
  });

  it('cancels its producer when the last reader leaves, by return or by signal, and not before', async () => {
    const { broadcast, say, told } = makeHeld();
    const controller = new AbortController();
    const first = follow(broadcast);
    const second = follow(broadcast, { signal: controller.signal });
    say(1);
    await turn();
    await first.leave();
    await turn();
    expect([told.aborted, broadcast.readers]).toEqual([null, 1]);
    controller.abort(new Error('gone'));
    expect(await second.end).toMatchObject({ message: 'gone' });
    await broadcast.settled;
    expect(told.aborted).toMatchObject({ code: 'request_aborted' });
    expect(told.cleaned).toBe(true);
    expect(await follow(broadcast).end).toMatchObject({ code: 'request_aborted' });
  });

  it('is cancelled at once by a reader whose signal had aborted before', async () => {
    const { broadcast, told } = makeHeld();
    expect(await follow(broadcast, { signal: AbortSignal.abort(new Error('gone')) }).end).toMatchObject({
      message: 'gone',
    });
    await broadcast.settled;
    expect(told.cleaned).toBe(true);
  });

  it('goes on for a while without readers, when asked', async () => {
    const clock = createManualClock();
    const { broadcast, say, told } = makeHeld({ grace: { clock, milliseconds: 1000 } });
    await follow(broadcast).leave();
    await clock.advance(900);
    say(1, 2);
    await turn();
    const back = follow(broadcast, { after: 1 });
    await clock.advance(900);
    expect(back.got).toEqual([2]);
    expect(told.aborted).toBe(null);
    await back.leave();
    await clock.advance(1000);
    await broadcast.settled;
    expect(told.cleaned).toBe(true);
  });

  it('leaves no timer behind when it ends during the grace', async () => {
    const clock = createManualClock();
    const { broadcast, end } = makeHeld({ grace: { clock, milliseconds: 1000 } });
    await follow(broadcast).leave();
    end();
    await broadcast.settled;
    await clock.advance(5000);
    expect(await follow(broadcast).end).toBe('ended');
  });

  it('cancelled by hand, tells every reader why, after what came before', async () => {
    const { broadcast, say, told } = makeHeld();
    const readers = [follow(broadcast), follow(broadcast)];
    say(1);
    await turn();
    const reason = new Error('stopped');
    broadcast.cancel(reason);
    broadcast.cancel(new Error('again'));
    for (const { got, end } of readers) {
      expect(await end).toBe(reason);
      expect(got).toEqual([1]);
    }
    await broadcast.settled;
    expect(told).toEqual({ aborted: reason, cleaned: true });
    expect(broadcast.failure?.error).toBe(reason);
  });

  it('lets the producer wait for the fastest reader, and never for another', async () => {
    const { broadcast, say, asked, end } = makeHeld({ maxAhead: 3, keep: 100 });
    const slow = broadcast.read();
    const fast = broadcast.read();
    say(...Array.from({ length: 50 }, (_, place) => place + 1));
    await turn();
    expect([asked(), broadcast.latest]).toEqual([3, 3]);
    let last = 0;
    while (last < 50) last = ((await fast.next()).value?.first ?? 0) + 2;
    expect(broadcast.latest).toBe(50);
    end();
    const all = [];
    for await (const { items } of slow) all.push(...items);
    expect(all).toHaveLength(50);
    await fast.return?.();
  });

  it('keeps within its bound, waits there when nobody reads, and cuts off who falls out of it', async () => {
    const { broadcast, say } = makeHeld({
      maxAhead: 4,
      keep: 10,
      grace: { clock: createManualClock(), milliseconds: 1000 },
    });
    const numbers = (from: number, count: number): number[] => Array.from({ length: count }, (_, at) => from + at);
    await follow(broadcast).leave();
    say(...numbers(1, 30));
    await turn();
    expect([broadcast.latest, broadcast.earliest]).toEqual([10, 1]);
    const late = broadcast.read();
    const fast = follow(broadcast);
    await turn();
    expect([broadcast.latest, broadcast.earliest]).toEqual([30, 21]);
    expect(fast.got).toEqual(numbers(1, 30));
    await expect(late.next()).rejects.toMatchObject({ code: 'stream_interrupted', retryable: true });
    expect(broadcast.readers).toBe(1);
    expect(follow(broadcast, { after: 20 }).got).toEqual([]);
  });

  it('counts by weight, and removes thousands of old items', async () => {
    const { broadcast, say, end } = makeHeld({ weigh: (item) => item, maxAhead: 10, keep: 50 });
    const reader = follow(broadcast);
    for (let round = 0; round < 100; round += 1) {
      say(...new Array<number>(100).fill(5));
      await turn();
    }
    expect(reader.got).toHaveLength(10_000);
    expect(broadcast.latest - broadcast.earliest + 1).toBe(10);
    const late = follow(broadcast, { after: 9_995 });
    end();
    expect([await late.end, late.got]).toEqual(['ended', [5, 5, 5, 5, 5]]);
  });
});
