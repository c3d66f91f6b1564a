import { setImmediate as nextTurn } from 'node:timers/promises';

const LONGEST_SLICE_MS = 3;

/** Lets long computations on the main thread make room for other work. One for all calls, which may follow closely. */
export interface TimeSlices {
  /** Awaits the next turn of the event loop when the last pause was some milliseconds ago. */
  pauseIfDue(): Promise<void> | undefined;
}

export function createTimeSlices(): TimeSlices {
  let startedAt = performance.now();
  const pause = async (): Promise<void> => {
    await nextTurn();
    startedAt = performance.now();
  };
  return { pauseIfDue: () => (performance.now() - startedAt < LONGEST_SLICE_MS ? undefined : pause()) };
}
