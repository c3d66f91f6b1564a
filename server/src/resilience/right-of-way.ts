import type { Clock } from '../kernel/index.ts';

/** Lets short work that somebody waits for go before work that nobody waits for. */
export interface RightOfWay {
  /** Somebody waits from now on, until the function that is returned is called. */
  enter(): () => void;
  /** Undefined when the way is free, else a promise for the moment when it is. Rejects with the signal's reason. */
  giveWay(signal?: AbortSignal): Promise<void> | undefined;
}

export interface RightOfWayOptions {
  readonly clock: Clock;
  /** Told how long each wait was. */
  readonly onWaited?: (milliseconds: number) => void;
  /** Whoever is not through by then waits for something slower than this process, and holds nothing up any more. Default 250. */
  readonly longestHoldMs?: number;
  /** The longest that the way is closed when somebody enters all the time. Default 150. */
  readonly longestWaitMs?: number;
  /** How long it then stays open. Default 50. */
  readonly openMs?: number;
}

/**
 * Whoever enters closes the way for those who give way, until all have left. Who never leaves (a slow model) or who comes
 * in endless numbers takes no more than `longestWaitMs / (longestWaitMs + openMs)` of the time.
 */
export function createRightOfWay(options: RightOfWayOptions): RightOfWay {
  const { clock, onWaited, longestHoldMs = 250, longestWaitMs = 150, openMs = 50 } = options;
  /** When those who are in came, the latest at the end. */
  const inside = new Map<symbol, number>();
  let closedSince = 0;
  let openUntil = Number.NEGATIVE_INFINITY;
  let freed = new AbortController();

  /** How long the way stays closed if nobody comes or goes; 0: it is open. */
  function closedFor(): number {
    const now = clock.now();
    const latest = [...inside.values()].at(-1);
    if (latest === undefined || now < openUntil) return 0;
    const patienceEnds = Math.max(closedSince, openUntil) + longestWaitMs;
    if (now >= patienceEnds && latest + longestHoldMs > now) openUntil = now + openMs;
    return Math.max(0, Math.min(latest + longestHoldMs, patienceEnds) - now);
  }

  async function wait(firstMs: number, signal: AbortSignal | undefined): Promise<void> {
    const startedAt = clock.now();
    for (let milliseconds = firstMs; milliseconds > 0; milliseconds = closedFor()) {
      const woken = signal === undefined ? freed.signal : AbortSignal.any([signal, freed.signal]);
      await clock.sleep(milliseconds, woken).catch(() => {});
      signal?.throwIfAborted();
    }
    onWaited?.(clock.now() - startedAt);
  }

  return {
    enter() {
      const key = Symbol('inside');
      const now = clock.now();
      // Those who only wait for something slower have not kept the way closed.
      const latest = [...inside.values()].at(-1);
      if (latest === undefined || latest + longestHoldMs <= now) closedSince = now;
      inside.set(key, now);
      return () => {
        if (!inside.delete(key) || closedFor() > 0) return;
        freed.abort();
        freed = new AbortController();
      };
    },
    giveWay(signal) {
      const milliseconds = closedFor();
      return milliseconds === 0 ? undefined : wait(milliseconds, signal);
    },
  };
}
