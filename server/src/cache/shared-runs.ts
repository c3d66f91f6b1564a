import { type Broadcast, createBroadcast } from '../resilience/index.ts';

/** Runs that several callers may want at once; each is made once and read by all, as it comes. */
export interface SharedRuns<Item> {
  /**
   * The items of the run under way that bears one of the ids, from its beginning; else of a new one, which bears the
   * first. A caller whose signal aborts leaves alone; the run is cancelled when the last one leaves.
   */
  join(
    ids: readonly [string, ...string[]],
    produce: (signal: AbortSignal) => AsyncIterable<Item>,
    signal: AbortSignal,
  ): JoinedRun<Item>;
}

export interface JoinedRun<Item> {
  /** True for the caller that the run was begun for. */
  readonly leads: boolean;
  readonly items: AsyncIterable<Item>;
}

export function createSharedRuns<Item>(): SharedRuns<Item> {
  const runs = new Map<string, Broadcast<Item>>();

  function begin(id: string, produce: (signal: AbortSignal) => AsyncIterable<Item>): Broadcast<Item> {
    const run = createBroadcast<Item>({ produce });
    runs.set(id, run);
    void run.settled.then(() => {
      if (runs.get(id) === run) runs.delete(id);
    });
    return run;
  }

  return {
    join(ids, produce, signal) {
      const known = ids.map((id) => runs.get(id)).find((run) => run !== undefined && isWhole(run));
      const run = known ?? begin(ids[0], produce);
      return { leads: known === undefined, items: itemsOf(run.read({ signal })) };
    },
  };
}

/** Whoever joins must get everything: not the rest of a run whose beginning is forgotten, nor a run that has failed. */
function isWhole(run: Broadcast<unknown>): boolean {
  return !run.isOver && run.earliest === 1;
}

async function* itemsOf<Item>(batches: AsyncIterable<{ readonly items: readonly Item[] }>): AsyncGenerator<Item> {
  for await (const { items } of batches) yield* items;
}
