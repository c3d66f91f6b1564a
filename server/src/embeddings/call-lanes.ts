/** Bounds how many calls run at once; callers that are in a hurry overtake those that are not. */
export interface CallLanes {
  run<Result>(
    work: () => Promise<Result>,
    options: { readonly urgent: boolean; readonly signal: AbortSignal | undefined },
  ): Promise<Result>;
}

interface Waiter {
  readonly enter: () => void;
}

export function createCallLanes(maxConcurrent: () => number): CallLanes {
  const urgentWaiters: Waiter[] = [];
  const waiters: Waiter[] = [];
  let running = 0;

  function enter({ urgent, signal }: { readonly urgent: boolean; readonly signal: AbortSignal | undefined }) {
    return new Promise<void>((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      if (running < maxConcurrent()) {
        running += 1;
        return resolve();
      }
      const queue = urgent ? urgentWaiters : waiters;
      const onAbort = (): void => {
        queue.splice(queue.indexOf(waiter), 1);
        reject(signal?.reason);
      };
      const waiter: Waiter = {
        enter: () => {
          signal?.removeEventListener('abort', onAbort);
          resolve();
        },
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      queue.push(waiter);
    });
  }

  /** Hands the lane to the next in line, or frees it. */
  function leave(): void {
    const next = urgentWaiters.shift() ?? waiters.shift();
    if (next === undefined) running -= 1;
    else next.enter();
  }

  return {
    async run(work, options) {
      await enter(options);
      try {
        return await work();
      } finally {
        leave();
      }
    },
  };
}
