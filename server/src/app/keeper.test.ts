import { describe, expect, it } from 'vitest';
import { createManualClock, type Lifecycle, silentLogger } from '../kernel/index.ts';
import { createKeeper } from './keeper.ts';

function setUp() {
  const clock = createManualClock();
  let holder: { readonly owner: string; readonly expiresAt: number } | null = null;
  let away = false;
  const running: string[] = [];
  const settle = async () => {
    for (let turn = 0; turn < 10; turn += 1) await clock.advance(0);
  };
  return {
    clock,
    running,
    setAway: (isAway: boolean) => {
      away = isAway;
    },
    async pass(milliseconds: number) {
      for (let passed = 0; passed < milliseconds; passed += 1_000) {
        await clock.advance(1_000);
        await settle();
      }
    },
    keeper(owner: string, duties?: () => readonly Lifecycle[]) {
      const duty: Lifecycle = {
        name: 'duty',
        start: async () => void running.push(owner),
        stop: async () => void running.splice(running.indexOf(owner), 1),
      };
      return createKeeper({
        clock,
        logger: silentLogger,
        makeDuties: duties ?? (() => [duty]),
        leases: {
          async acquire(_, { now, expiresAt }) {
            if (away) throw new Error('database away');
            if (holder !== null && holder.owner !== owner && holder.expiresAt > now) return false;
            holder = { owner, expiresAt };
            return true;
          },
          async release() {
            if (holder?.owner === owner) holder = null;
          },
        },
      });
    },
  };
}

describe('the keeper of the house', () => {
  it('is one process at a time: another takes over when it stops', async () => {
    const { keeper, running, pass } = setUp();
    const [one, other] = [keeper('one'), keeper('other')];
    await one.start();
    await other.start();
    await pass(30_000);
    expect(running).toEqual(['one']);
    await one.stop();
    expect(running).toEqual([]);
    await pass(5_000);
    expect(running).toEqual(['other']);
    await other.stop();
    expect(running).toEqual([]);
  });

  it('is another within 20 seconds when it dies', async () => {
    const { keeper, running, pass, setAway } = setUp();
    const one = keeper('one');
    await one.start();
    const other = keeper('other');
    await other.start();
    // What a process that hangs or is cut off does: nothing that the others see, and no more of its duties.
    setAway(true);
    await pass(15_000);
    expect(running).toEqual([]);
    setAway(false);
    await pass(5_000);
    expect(running).toHaveLength(1);
    await Promise.all([one.stop(), other.stop()]);
  });

  it('tries again when its duties could not be begun', async () => {
    const { keeper, pass } = setUp();
    let tries = 0;
    const duty = {
      name: 'duty',
      start: async () => {
        tries += 1;
        if (tries === 1) throw new Error('database away');
      },
      stop: async () => {},
    };
    const one = keeper('one', () => [duty]);
    await one.start();
    await pass(10_000);
    expect(tries).toBe(2);
    await one.stop();
  });
});
