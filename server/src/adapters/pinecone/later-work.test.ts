import { describe, expect, it } from 'vitest';
import { type Clock, silentLogger } from '../../kernel/index.ts';
import { createLaterWork } from './later-work.ts';

function pausing(): { readonly clock: Clock; readonly pauses: number[] } {
  const pauses: number[] = [];
  return {
    pauses,
    clock: {
      now: () => 0,
      sleep: async (milliseconds, signal) => {
        pauses.push(milliseconds);
        await new Promise((resolve) => setImmediate(resolve));
        signal?.throwIfAborted();
      },
    },
  };
}

describe('later work', () => {
  it('is tried until it is done, ever later', async () => {
    const { clock, pauses } = pausing();
    const work = createLaterWork({ clock, logger: silentLogger });
    let runs = 0;
    await new Promise<void>((resolve) => {
      const run = async (): Promise<void> => {
        runs += 1;
        if (runs < 4) throw new Error('not yet');
        resolve();
      };
      work.add({ key: 'k', what: 'It', afterMs: 7, run });
    });
    expect(pauses).toEqual([7, 1000, 2000, 4000]);
    await work.stop();
    expect(runs).toBe(4);
  });

  it('is done once for what is asked while it waits, and once more for what is asked while it runs', async () => {
    const { clock } = pausing();
    const work = createLaterWork({ clock, logger: silentLogger });
    let runs = 0;
    await new Promise<void>((resolve) => {
      const task = {
        ...{ key: 'k', what: 'It', afterMs: 0 },
        run: async () => {
          runs += 1;
          if (runs === 1) for (let again = 0; again < 3; again += 1) work.add(task);
          else setImmediate(resolve);
        },
      };
      work.add(task);
      work.add(task);
    });
    await work.stop();
    expect(runs).toBe(2);
  });

  it('ends its pause when it is stopped, and begins nothing then', async () => {
    const { clock } = pausing();
    const work = createLaterWork({ clock, logger: silentLogger });
    let runs = 0;
    const run = async (): Promise<void> => {
      runs += 1;
    };
    work.add({ key: 'k', what: 'It', afterMs: 60_000, run });
    await work.stop();
    work.add({ key: 'l', what: 'It', afterMs: 0, run });
    await work.stop();
    expect(runs).toBe(0);
  });
});
