import { getEventListeners } from 'node:events';
import { describe, expect, it } from 'vitest';
import { createManualClock, systemClock } from './clock.ts';

const manual = createManualClock();
const CLOCKS = [
  ['the clock of the system', systemClock, async () => {}],
  ['a manual clock', manual, () => manual.advance(1)],
] as const;

describe.each(CLOCKS)('%s', (_name, clock, pass) => {
  it('leaves nothing at a signal that lives longer than many sleeps', async () => {
    const { signal } = new AbortController();
    for (let slept = 0; slept < 20; slept += 1) {
      const sleeping = clock.sleep(1, signal);
      await pass();
      await sleeping;
    }
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
  });

  it('ends a sleep with the reason of its signal', async () => {
    const controller = new AbortController();
    const sleeping = clock.sleep(60_000, controller.signal);
    controller.abort(new Error('left'));
    await expect(sleeping).rejects.toThrow('left');
    await expect(clock.sleep(1, controller.signal)).rejects.toThrow('left');
    expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0);
  });
});
