import { beforeEach, describe, expect, it } from 'vitest';
import { createManualClock, type ManualClock } from '../kernel/index.ts';
import { createRightOfWay, type RightOfWay } from './right-of-way.ts';

describe('right of way', () => {
  let clock: ManualClock;
  let way: RightOfWay;
  let waits: number[];

  beforeEach(() => {
    clock = createManualClock();
    waits = [];
    way = createRightOfWay({
      clock,
      onWaited: (milliseconds) => void waits.push(milliseconds),
      longestHoldMs: 250,
      longestWaitMs: 150,
      openMs: 50,
    });
  });

  const watched = (waiting: Promise<void> | undefined): { readonly isOver: () => boolean } => {
    let over = waiting === undefined;
    void waiting?.then(() => {
      over = true;
    });
    return { isOver: () => over };
  };

  it('is free when nobody is inside, and as soon as the last one leaves', async () => {
    expect(way.giveWay()).toBeUndefined();
    const leaveFirst = way.enter();
    const leaveSecond = way.enter();
    const waiting = watched(way.giveWay());
    await clock.advance(20);
    leaveFirst();
    leaveFirst();
    await clock.advance(20);
    expect(waiting.isOver()).toBe(false);
    leaveSecond();
    await clock.advance(0);
    expect(waiting.isOver()).toBe(true);
    expect(waits).toEqual([40]);
    expect(way.giveWay()).toBeUndefined();
  });

  it('opens for a while when somebody is inside all the time', async () => {
    const waiting = watched(way.giveWay() ?? undefined);
    expect(waiting.isOver()).toBe(true);
    let leave = way.enter();
    const kept = watched(way.giveWay());
    for (let step = 0; step < 14; step += 1) {
      await clock.advance(10);
      const next = way.enter();
      leave();
      leave = next;
    }
    expect(kept.isOver()).toBe(false);
    await clock.advance(10);
    expect(kept.isOver()).toBe(true);
    await clock.advance(49);
    expect(way.giveWay()).toBeUndefined();
    way.enter();
    await clock.advance(1);
    const again = watched(way.giveWay());
    await clock.advance(149);
    expect(again.isOver()).toBe(false);
    await clock.advance(1);
    expect(again.isOver()).toBe(true);
    expect(waits).toEqual([150, 150]);
  });

  it('is not held by who stays inside for long, whoever comes and goes meanwhile', async () => {
    way.enter();
    await clock.advance(250);
    expect(way.giveWay()).toBeUndefined();
    await clock.advance(1_000);
    const leave = way.enter();
    const waiting = watched(way.giveWay());
    await clock.advance(30);
    leave();
    await clock.advance(0);
    expect(waiting.isOver()).toBe(true);
    expect(way.giveWay()).toBeUndefined();
  });

  it('stops waiting when it is aborted', async () => {
    way.enter();
    const controller = new AbortController();
    const waiting = way.giveWay(controller.signal);
    controller.abort(new Error('left'));
    await expect(waiting).rejects.toThrow('left');
    expect(waits).toEqual([]);
  });
});
