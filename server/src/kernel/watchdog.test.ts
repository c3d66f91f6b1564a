import { describe, expect, it } from 'vitest';
import { type Clock, createManualClock } from './clock.ts';
import { createWatchdogs } from './watchdog.ts';

function setUp(stepMs = 1000) {
  const manual = createManualClock(0);
  let sleepers = 0;
  let sleeps = 0;
  const clock: Clock = {
    now: manual.now,
    async sleep(milliseconds, signal) {
      sleepers += 1;
      sleeps += 1;
      try {
        await manual.sleep(milliseconds, signal);
      } finally {
        sleepers -= 1;
      }
    },
  };
  const barked: string[] = [];
  const dogs = createWatchdogs(clock, stepMs);
  return {
    barked,
    advance: manual.advance,
    counts: () => ({ sleepers, sleeps }),
    create: (name: string) => dogs.create((missing) => barked.push(`${name}: ${missing}`)),
  };
}

describe('watchdogs', () => {
  it('bark once, each at its own time, with what was missing last', async () => {
    const { create, advance, barked } = setUp();
    const slow = create('slow');
    const fast = create('fast');
    slow.arm(700, 'begin');
    fast.arm(300, 'begin');
    slow.arm(800, 'go on');
    await advance(299);
    expect(barked).toEqual([]);
    await advance(1);
    expect(barked).toEqual(['fast: begin']);
    await advance(499);
    expect(barked).toHaveLength(1);
    await advance(1);
    expect(barked).toEqual(['fast: begin', 'slow: go on']);
    await advance(10_000);
    expect(barked).toHaveLength(2);
  });

  it('share one timer, and leave none behind', async () => {
    const { create, advance, barked, counts } = setUp();
    const dogs = Array.from({ length: 50 }, (_, place) => create(String(place)));
    for (const dog of dogs) for (let at = 600; at < 900; at += 10) dog.arm(at, 'go on');
    expect(counts()).toEqual({ sleepers: 1, sleeps: 1 });
    for (const dog of dogs) dog[Symbol.dispose]();
    await advance(0);
    expect(counts()).toEqual({ sleepers: 0, sleeps: 1 });
    await advance(10_000);
    expect(barked).toEqual([]);
  });

  it('wait for a deadline that lies further ahead than a step', async () => {
    const { create, advance, barked } = setUp(1000);
    create('far').arm(2500, 'end');
    for (let now = 0; now < 2000; now += 1000) await advance(1000);
    expect(barked).toEqual([]);
    await advance(500);
    expect(barked).toEqual(['far: end']);
  });
});
