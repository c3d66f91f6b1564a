export interface BatcherOptions<Item, Result> {
  /** Most items in one call. */
  readonly maxItems: number;
  /** Most calls at once; items gather while so many are under way. */
  readonly maxConcurrent: number;
  /** One result an item, in order. The signal aborts when nobody waits for the call any more. */
  readonly run: (items: readonly Item[], signal: AbortSignal) => Promise<readonly Result[]>;
  /** Whether one item may have spoilt a joint call for the others; then each is tried alone. Default: never. */
  readonly mayBeFaultOfOne?: (error: unknown) => boolean;
}

export interface Batcher<Item, Result> {
  /** Rejects with what `run` rejects with, or with the signal's reason. */
  add(item: Item, signal?: AbortSignal): Promise<Result>;
}

interface Ticket<Item, Result> {
  readonly item: Item;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
  /** Set once somebody left or was answered. */
  done: boolean;
  alone: boolean;
  /** Told when the ticket's caller leaves. */
  onLeave: () => void;
}

/**
 * Joins single requests into calls of many without ever waiting for company: an idle batcher calls at once (requests of
 * the same tick go together), a busy one sends what gathered as soon as a call ends.
 */
export function createBatcher<Item, Result>(options: BatcherOptions<Item, Result>): Batcher<Item, Result> {
  const waiting: Ticket<Item, Result>[] = [];
  let running = 0;

  function callWaiting(): void {
    while (running < options.maxConcurrent && waiting.length > 0) {
      const batch = takeBatch();
      running += 1;
      void callTogether(batch).finally(() => {
        running -= 1;
        callWaiting();
      });
    }
  }

  function takeBatch(): Ticket<Item, Result>[] {
    if (waiting[0]?.alone) return waiting.splice(0, 1);
    const nextAlone = waiting.findIndex((ticket) => ticket.alone);
    return waiting.splice(0, Math.min(options.maxItems, nextAlone < 0 ? waiting.length : nextAlone));
  }

  async function callTogether(batch: readonly Ticket<Item, Result>[]): Promise<void> {
    const controller = new AbortController();
    for (const ticket of batch) {
      ticket.onLeave = () => {
        if (batch.every(({ done }) => done)) controller.abort();
      };
    }
    try {
      const items = batch.map(({ item }) => item);
      const results = await options.run(items, controller.signal);
      if (results.length !== items.length) throw new Error(`${results.length} results for ${items.length} items`);
      for (const [position, ticket] of batch.entries()) ticket.resolve(results[position] as Result);
    } catch (error) {
      const left = batch.filter(({ done }) => !done);
      if (batch.length > 1 && options.mayBeFaultOfOne?.(error)) waiting.unshift(...left.map(setApart));
      else for (const ticket of left) ticket.reject(error);
    }
  }

  return {
    add: (item, signal) =>
      new Promise((resolve, reject) => {
        if (signal?.aborted) return reject(signal.reason);
        const finish = (act: () => void): void => {
          ticket.done = true;
          signal?.removeEventListener('abort', onAbort);
          act();
        };
        const ticket: Ticket<Item, Result> = {
          item,
          resolve: (result) => finish(() => resolve(result)),
          reject: (error) => finish(() => reject(error)),
          done: false,
          alone: false,
          onLeave: () => dropWaiting(ticket),
        };
        const onAbort = (): void => {
          ticket.reject(signal?.reason);
          ticket.onLeave();
        };
        signal?.addEventListener('abort', onAbort, { once: true });
        waiting.push(ticket);
        queueMicrotask(callWaiting);
      }),
  };

  function setApart(ticket: Ticket<Item, Result>): Ticket<Item, Result> {
    ticket.alone = true;
    ticket.onLeave = () => dropWaiting(ticket);
    return ticket;
  }

  function dropWaiting(ticket: Ticket<Item, Result>): void {
    waiting.splice(waiting.indexOf(ticket), 1);
  }
}
