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

/** Below this, those who have left are not worth being cleared away. */
const MANY = 64;

interface Visit {
  readonly at: number;
  hasLeft: boolean;
}

/**
 * Whoever enters closes the way for those who give way, until all have left. Who never leaves (a slow model) or who comes
 * in endless numbers takes no more than `longestWaitMs / (longestWaitMs + openMs)` of the time.
 */
export function createRightOfWay(options: RightOfWayOptions): RightOfWay {
  const { clock, onWaited, longestHoldMs = 250, longestWaitMs = 150, openMs = 50 } = options;
  /** Those who are in, the latest at the end; among them some who have left and were not the latest then. */
  let entered: Visit[] = [];
  let left = 0;
  let closedSince = 0;
  let openUntil = Number.NEGATIVE_INFINITY;
  /** Only while somebody waits: most questions come and go without holding anything up. */
  let freed: AbortController | null = null;

  /** When the latest of those who are in came; undefined: nobody is in. */
  function latestEntry(): number | undefined {
    while (entered.at(-1)?.hasLeft === true) {
      entered.pop();
      left -= 1;
    }
    return entered.at(-1)?.at;
  }

  /** How long the way stays closed if nobody comes or goes; 0: it is open. */
  function closedFor(): number {
    const now = clock.now();
    const latest = latestEntry();
    if (latest === undefined || now < openUntil) return 0;
    const patienceEnds = Math.max(closedSince, openUntil) + longestWaitMs;
    if (now >= patienceEnds && latest + longestHoldMs > now) openUntil = now + openMs;
    return Math.max(0, Math.min(latest + longestHoldMs, patienceEnds) - now);
  }

  async function wait(firstMs: number, signal: AbortSignal | undefined): Promise<void> {
    const startedAt = clock.now();
    for (let milliseconds = firstMs; milliseconds > 0; milliseconds = closedFor()) {
      freed ??= new AbortController();
      const woken = signal === undefined ? freed.signal : AbortSignal.any([signal, freed.signal]);
      await clock.sleep(milliseconds, woken).catch(() => {});
      signal?.throwIfAborted();
    }
    onWaited?.(clock.now() - startedAt);
  }

  return {
    enter() {
      const now = clock.now();
      // Those who only wait for something slower have not kept the way closed.
      const latest = latestEntry();
      if (latest === undefined || latest + longestHoldMs <= now) closedSince = now;
      const visit: Visit = { at: now, hasLeft: false };
      entered.push(visit);
      return () => {
        if (visit.hasLeft) return;
        visit.hasLeft = true;
        left += 1;
        if (left > MANY && left * 2 > entered.length) {
          entered = entered.filter(({ hasLeft }) => !hasLeft);
          left = 0;
        }
        if (freed === null || closedFor() > 0) return;
        freed.abort('free');
        freed = null;
      };
    },
    giveWay(signal) {
      const milliseconds = closedFor();
      return milliseconds === 0 ? undefined : wait(milliseconds, signal);
    },
  };
}
