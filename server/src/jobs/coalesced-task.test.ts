import { describe, expect, it } from 'vitest';
import { createCoalescedTask } from './coalesced-task.ts';

function setUp() {
  const finishers: (() => void)[] = [];
  const errors: unknown[] = [];
  let fail = false;
  const task = createCoalescedTask(
    () =>
      new Promise<void>((resolve, reject) => {
        finishers.push(() => (fail ? reject(new Error('failed')) : resolve()));
      }),
    (error) => errors.push(error),
  );
  const finish = (): void => finishers.at(-1)?.();
  return { task, finish, runs: () => finishers.length, errors, failNext: () => (fail = true) };
}

describe('coalesced task', () => {
  it('runs once more for all who asked while it ran', async () => {
    const { task, finish, runs } = setUp();
    const first = task.run();
    const later = [task.run(), task.run(), task.run()];
    expect(runs()).toBe(1);
    finish();
    await first;
    await Promise.resolve();
    expect(runs()).toBe(2);
    finish();
    await Promise.all(later);
    await task.idle();
    expect(runs()).toBe(2);
  });

  it('reports errors, and can be run again after them', async () => {
    const { task, finish, runs, errors, failNext } = setUp();
    failNext();
    const first = task.run();
    finish();
    await first;
    expect(errors).toHaveLength(1);
    const second = task.run();
    finish();
    await second;
    expect(runs()).toBe(2);
  });

  it('is idle when it never ran', async () => {
    await expect(setUp().task.idle()).resolves.toBeUndefined();
  });
});
