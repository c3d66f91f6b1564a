import { describe, expect, it } from 'vitest';
import { createSharedRuns } from './shared-runs.ts';

/** A producer that gives out what it is told to, and tells why it was cancelled. */
function scripted() {
  let give: (item: string | null) => void = () => {};
  let coming = new Promise<string | null>((resolve) => {
    give = resolve;
  });
  const seen = { begun: 0, cancelled: false };
  async function* produce(signal: AbortSignal): AsyncGenerator<string> {
    seen.begun += 1;
    signal.addEventListener('abort', () => {
      seen.cancelled = true;
      give(null);
    });
    for (;;) {
      const item = await coming;
      if (item === null) return;
      coming = new Promise((resolve) => {
        give = resolve;
      });
      yield item;
    }
  }
  return { produce, seen, say: (item: string | null) => give(item) };
}

async function readAll(items: AsyncIterable<string>): Promise<string> {
  let text = '';
  for await (const item of items) text += item;
  return text;
}

const never = new AbortController().signal;
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('shared runs', () => {
  it('make one run for all who ask while it is under way, each from its beginning', async () => {
    const runs = createSharedRuns<string>();
    const { produce, seen, say } = scripted();
    const first = runs.join(['a'], produce, never);
    const one = readAll(first.items);
    await turn();
    say('x');
    await turn();
    const second = runs.join(['b', 'a'], produce, never);
    const other = readAll(second.items);
    say('y');
    await turn();
    say(null);
    expect([await one, await other]).toEqual(['xy', 'xy']);
    expect([first.leads, second.leads, seen.begun]).toEqual([true, false, 1]);
    await turn();
    const later = scripted();
    const third = runs.join(['a'], later.produce, never);
    expect(third.leads).toBe(true);
    await turn();
    later.say(null);
    expect(await readAll(third.items)).toBe('');
  });

  it('go on when who asked first leaves, and are cancelled when the last one leaves', async () => {
    const runs = createSharedRuns<string>();
    const { produce, seen, say } = scripted();
    const [leader, follower] = [new AbortController(), new AbortController()];
    const one = readAll(runs.join(['a'], produce, leader.signal).items);
    const other = readAll(runs.join(['a'], produce, follower.signal).items);
    one.catch(() => {});
    other.catch(() => {});
    await turn();
    leader.abort(new Error('leader left'));
    await expect(one).rejects.toThrow('leader left');
    say('x');
    await turn();
    expect(seen.cancelled).toBe(false);
    follower.abort(new Error('follower left'));
    await expect(other).rejects.toThrow('follower left');
    expect(seen.cancelled).toBe(true);
    // Whoever comes now is not given the end of a run that was cancelled.
    const next = scripted();
    const { leads } = runs.join(['a'], next.produce, never);
    expect(leads).toBe(true);
  });

  it('share a failure', async () => {
    const runs = createSharedRuns<string>();
    async function* fail(): AsyncGenerator<string> {
      yield 'x';
      throw new Error('broke');
    }
    const joined = [1, 2, 3].map(() => readAll(runs.join(['a'], fail, never).items));
    for (const result of await Promise.allSettled(joined)) expect(result.status).toBe('rejected');
  });
});
