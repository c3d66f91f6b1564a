import type { Clock } from './clock.ts';

export interface Watchdog extends Disposable {
  /** Barks at `at` (milliseconds since 1970) unless armed anew or disposed before. `missing` says what it waits for. */
  arm(at: number, missing: string): void;
}

/** Watchdogs that share one timer, since most are put to rest long before they bark. */
export interface Watchdogs {
  /** `bark` is told at most once for each time that it is armed. */
  create(bark: (missing: string) => void): Watchdog;
}

/** A reason given spares the making of one, which takes a stack. */
const MOVED = 'the deadline was moved';

interface Dog {
  dueAt: number;
  missing: string;
  readonly bark: (missing: string) => void;
}

/**
 * Deadlines that may be set and moved with each token at next to no cost: the one timer sleeps until the earliest
 * deadline that it knew of, and no longer than `stepMs`, so that only a deadline that comes before that touches it. No
 * timer is left when nothing is watched.
 */
export function createWatchdogs(clock: Clock, stepMs: number): Watchdogs {
  const armed = new Set<Dog>();
  let sleep: AbortController | null = null;
  let wakesAt = Number.POSITIVE_INFINITY;

  function sleepUntil(at: number): void {
    sleep?.abort(MOVED);
    const own = new AbortController();
    sleep = own;
    wakesAt = at;
    clock.sleep(Math.max(0, at - clock.now()), own.signal).then(
      () => sleep === own && wake(),
      () => {},
    );
  }

  function rest(): void {
    sleep?.abort(MOVED);
    sleep = null;
    wakesAt = Number.POSITIVE_INFINITY;
  }

  function wake(): void {
    sleep = null;
    wakesAt = Number.POSITIVE_INFINITY;
    const now = clock.now();
    const due = [...armed].filter(({ dueAt }) => dueAt <= now);
    for (const dog of due) if (armed.delete(dog)) dog.bark(dog.missing);
    const next = Math.min(...[...armed].map(({ dueAt }) => dueAt), now + stepMs);
    if (armed.size > 0 && next < wakesAt) sleepUntil(next);
  }

  return {
    create(bark) {
      const dog: Dog = { dueAt: Number.POSITIVE_INFINITY, missing: '', bark };
      return {
        arm(at, missing) {
          dog.dueAt = at;
          dog.missing = missing;
          armed.add(dog);
          if (at < wakesAt) sleepUntil(Math.min(at, clock.now() + stepMs));
        },
        [Symbol.dispose]() {
          if (armed.delete(dog) && armed.size === 0) rest();
        },
      };
    },
  };
}
