import type { Clock } from '../../kernel/index.ts';

export interface Watchdog extends Disposable {
  /** Barks at `at` (milliseconds since 1970) unless armed anew or disposed before. `missing` says what it waits for. */
  arm(at: number, missing: string): void;
}

/** A reason given spares the making of one, which takes a stack. */
const MOVED = 'the deadline was moved';

/**
 * A deadline that may be moved once a token at next to no cost: moving it later does not touch the running timer, and
 * the timer sleeps no longer than `stepMs`, so that moving it less than that earlier does not either.
 */
export function createWatchdog(clock: Clock, stepMs: number, bark: (missing: string) => void): Watchdog {
  let dueAt = Number.POSITIVE_INFINITY;
  let missing = '';
  let sleep: AbortController | null = null;
  let wakesAt = Number.POSITIVE_INFINITY;

  async function sleepUntil(at: number, signal: AbortSignal): Promise<void> {
    wakesAt = at;
    try {
      await clock.sleep(Math.max(0, at - clock.now()), signal);
    } catch {
      return;
    }
    wakesAt = Number.POSITIVE_INFINITY;
    if (dueAt === Number.POSITIVE_INFINITY) return;
    const now = clock.now();
    if (now < dueAt) return sleepUntil(Math.min(dueAt, now + stepMs), signal);
    dueAt = Number.POSITIVE_INFINITY;
    bark(missing);
  }

  return {
    arm(at, what) {
      dueAt = at;
      missing = what;
      if (at >= wakesAt) return;
      sleep?.abort(MOVED);
      sleep = new AbortController();
      void sleepUntil(Math.min(at, clock.now() + stepMs), sleep.signal);
    },
    [Symbol.dispose]() {
      dueAt = Number.POSITIVE_INFINITY;
      sleep?.abort(MOVED);
    },
  };
}
