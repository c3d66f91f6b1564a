import { describe, expect, it } from 'vitest';
import { type BatcherOptions, createBatcher } from './batcher.ts';

const turn = () => new Promise((resolve) => setImmediate(resolve));

/** A batcher over calls that wait to be answered by hand. */
function makeHeld(options: Partial<BatcherOptions<string, string>> = {}) {
  const calls: { items: readonly string[]; signal: AbortSignal; answer: () => void; fail: (error: Error) => void }[] =
    [];
  const batcher = createBatcher<string, string>({
    maxItems: 3,
    maxConcurrent: 1,
    run: (items, signal) =>
      new Promise((resolve, reject) => {
        calls.push({ items, signal, answer: () => resolve(items.map((item) => item.toUpperCase())), fail: reject });
      }),
    ...options,
  });
  return { batcher, calls };
}

describe('batcher', () => {
  it('calls at once when idle, gathers while busy, and never sends too many', async () => {
    const { batcher, calls } = makeHeld();
    const first = batcher.add('a');
    await turn();
    const later = ['b', 'c', 'd', 'e'].map((item) => batcher.add(item));
    await turn();
    expect(calls.map(({ items }) => items)).toEqual([['a']]);
    calls[0]?.answer();
    await turn();
    calls[1]?.answer();
    await turn();
    calls[2]?.answer();
    expect(calls.map(({ items }) => items)).toEqual([['a'], ['b', 'c', 'd'], ['e']]);
    expect(await Promise.all([first, ...later])).toEqual(['A', 'B', 'C', 'D', 'E']);
  });

  it('joins the requests of one tick, and runs as many calls at once as it may', async () => {
    const { batcher, calls } = makeHeld({ maxConcurrent: 2 });
    const all = Promise.all(['a', 'b', 'c', 'd', 'e', 'f', 'g'].map((item) => batcher.add(item)));
    await turn();
    expect(calls.map(({ items }) => items.length)).toEqual([3, 3]);
    for (const position of [0, 1, 2]) {
      calls[position]?.answer();
      await turn();
    }
    expect(await all).toHaveLength(7);
  });

  it('drops whoever leaves, and ends a call that nobody waits for', async () => {
    const { batcher, calls } = makeHeld();
    const [inCall, waiting] = [new AbortController(), new AbortController()];
    const outcomes = [batcher.add('a', inCall.signal)];
    await turn();
    outcomes.push(batcher.add('b', waiting.signal), batcher.add('c', AbortSignal.abort(new Error('gone'))));
    const settled = Promise.allSettled(outcomes);
    waiting.abort(new Error('left'));
    inCall.abort(new Error('left'));
    expect((await settled).map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
    expect(calls[0]?.signal.aborted).toBe(true);
    calls[0]?.fail(new Error('aborted'));
    await turn();
    expect(calls).toHaveLength(1);
  });

  it('goes on for the others when one of a joint call leaves', async () => {
    const { batcher, calls } = makeHeld();
    const controller = new AbortController();
    const left = batcher.add('a', controller.signal);
    const stays = batcher.add('b');
    await turn();
    controller.abort(new Error('left'));
    await expect(left).rejects.toThrow('left');
    expect(calls[0]?.signal.aborted).toBe(false);
    calls[0]?.answer();
    expect(await stays).toBe('B');
  });

  it('fails all of a joint call, or tries each alone where one may be at fault', async () => {
    const run = async (items: readonly string[]): Promise<readonly string[]> => {
      if (items.includes('bad')) throw new Error('refused');
      return items;
    };
    const outcomesOf = async (options: BatcherOptions<string, string>): Promise<string[]> => {
      const batcher = createBatcher(options);
      const outcomes = await Promise.allSettled(['a', 'bad', 'b'].map((item) => batcher.add(item)));
      return outcomes.map(({ status }) => status);
    };
    const options = { maxItems: 3, maxConcurrent: 1, run };
    expect(await outcomesOf(options)).toEqual(['rejected', 'rejected', 'rejected']);
    expect(await outcomesOf({ ...options, mayBeFaultOfOne: () => true })).toEqual([
      'fulfilled',
      'rejected',
      'fulfilled',
    ]);
  });

  it('rejects when results are missing', async () => {
    const { batcher } = makeHeld({ run: async () => [] });
    await expect(batcher.add('a')).rejects.toThrow('0 results for 1 items');
  });
});
