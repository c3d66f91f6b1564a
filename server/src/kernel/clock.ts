/** Time as a part that tests can replace. */
export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  /** Resolves after `milliseconds`; rejects with the signal's reason when it is aborted first, leaving no timer behind. */
  sleep(milliseconds: number, signal?: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  sleep: (milliseconds, signal) =>
    new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(signal.reason);
        return;
      }
      const onAbort = (): void => {
        clearTimeout(timer);
        reject(signal?.reason);
      };
      const timer = setTimeout(() => {
        signal?.removeEventListener('abort', onAbort);
        resolve();
      }, milliseconds);
      signal?.addEventListener('abort', onAbort, { once: true });
    }),
};

export interface ManualClock extends Clock {
  /** Moves time forward and wakes every sleeper whose time has come, in order. */
  advance(milliseconds: number): Promise<void>;
}

/** A clock that stands still until it is advanced. For tests. */
export function createManualClock(startMs = 1_700_000_000_000): ManualClock {
  let current = startMs;
  const sleepers = new Set<{ readonly at: number; readonly wake: () => void }>();
  return {
    now: () => current,
    sleep: (milliseconds, signal) =>
      new Promise((resolve, reject) => {
        if (signal?.aborted) {
          reject(signal.reason);
          return;
        }
        const leave = (): void => {
          if (sleepers.delete(sleeper)) reject(signal?.reason);
        };
        const wake = (): void => {
          signal?.removeEventListener('abort', leave);
          resolve();
        };
        const sleeper = { at: current + milliseconds, wake };
        sleepers.add(sleeper);
        signal?.addEventListener('abort', leave, { once: true });
      }),
    async advance(milliseconds) {
      current += milliseconds;
      const due = [...sleepers].filter((sleeper) => sleeper.at <= current).sort((a, b) => a.at - b.at);
      for (const sleeper of due) {
        sleepers.delete(sleeper);
        sleeper.wake();
      }
      await new Promise((resolve) => setImmediate(resolve));
    },
  };
}
