import { abortable } from './abortable.ts';

export interface SingleFlight<Result> {
  /**
   * Runs `work`, or joins the run of the same key that is under way. A caller that aborts leaves alone; when all have
   * left, the signal given to `work` aborts. Every caller gets the same result, so it must not be altered.
   */
  run(key: string, work: (signal: AbortSignal) => Promise<Result>, signal?: AbortSignal): Promise<Result>;
}

interface Flight<Result> {
  readonly result: Promise<Result>;
  readonly controller: AbortController;
  callers: number;
}

/** Joins equal work that is asked for while it is being done. Nothing is kept after it is done. */
export function createSingleFlight<Result>(): SingleFlight<Result> {
  const flights = new Map<string, Flight<Result>>();

  function launch(key: string, work: (signal: AbortSignal) => Promise<Result>): Flight<Result> {
    const controller = new AbortController();
    const result = Promise.resolve().then(() => work(controller.signal));
    const flight: Flight<Result> = { result, controller, callers: 0 };
    flights.set(key, flight);
    const land = (): void => {
      if (flights.get(key) === flight) flights.delete(key);
    };
    result.then(land, land);
    return flight;
  }

  return {
    async run(key, work, signal) {
      signal?.throwIfAborted();
      const flight = flights.get(key) ?? launch(key, work);
      flight.callers += 1;
      try {
        return await abortable(flight.result, signal);
      } finally {
        flight.callers -= 1;
        if (flight.callers === 0 && flights.get(key) === flight) {
          flights.delete(key);
          flight.controller.abort(signal?.reason);
        }
      }
    },
  };
}
