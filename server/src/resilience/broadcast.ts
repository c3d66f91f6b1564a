import { AppError, type Clock } from '../kernel/index.ts';

/** Items in a row, as many as there were. The first item of a broadcast has number 1. */
export interface Batch<Item> {
  /** Number of the first one of `items`. */
  readonly first: number;
  /** At least one. */
  readonly items: readonly Item[];
}

export interface BroadcastOptions<Item> {
  /** Makes the items; it is begun at once, and must stop when the signal aborts. */
  readonly produce: (signal: AbortSignal) => AsyncIterable<Item>;
  /** What an item counts for in `maxAhead` and `keep`. Default: 1 each. */
  readonly weigh?: (item: Item) => number;
  /** The producer waits while all readers are further behind than this. Default 256. */
  readonly maxAhead?: number;
  /** How much of the latest is kept for readers that come late or are slow; at least `maxAhead`. Default 65,536. */
  readonly keep?: number;
  /** How long the producer goes on when the last reader has left. Default: not at all. */
  readonly grace?: { readonly clock: Clock; readonly milliseconds: number };
  /** Told of what came in each turn of the event loop, before readers get it; also of what came before the end. */
  readonly onBatch?: (batch: Batch<Item>) => void;
}

/** One producer and many readers, each at its own pace. */
export interface Broadcast<Item> {
  /** Number of the latest item; 0: none yet. */
  readonly latest: number;
  /** Number of the oldest item that can still be read. */
  readonly earliest: number;
  readonly readers: number;
  readonly isOver: boolean;
  /** What ended it before its time; null: nothing has. */
  readonly failure: { readonly error: unknown } | null;
  /** Resolves once the producer has ended and cleaned up, in whatever way. Never rejects. */
  readonly settled: Promise<void>;
  /**
   * Whatever comes after the item of number `after` (default 0: everything), then the producer's end, or a rejection
   * with its error. It counts as a reader from this call on, and leaves by `return()`, at the end, or when the signal
   * aborts, with whose reason it then rejects. Rejects with `stream_interrupted` when what it needs is no longer kept.
   */
  read(options?: { readonly after?: number; readonly signal?: AbortSignal }): AsyncIterableIterator<Batch<Item>>;
  /** Stops the producer; every reader gets what came before, then this reason. Without effect once it is over. */
  cancel(reason: unknown): void;
}

interface Reader {
  /** Number of the last item that it was given. */
  given: number;
  /** Called when there is something to read, or the end; null: it is not waiting. */
  wake: (() => void) | null;
}

type Ending = { readonly type: 'ended' } | { readonly type: 'failed'; readonly error: unknown };

/**
 * Runs a producer once for any number of readers. Each reader gets every item in order, in batches of whatever came
 * within one turn of the event loop, so that an item costs an entry in an array and not a promise a reader.
 *
 * The fastest reader sets the pace: the producer waits when nobody keeps up (one slow reader alone is full backpressure),
 * but a viewer that has stopped reading never holds up another. The slow one reads from what is kept, and is cut off
 * when it falls out of that. When the last reader has left, the producer is cancelled, after `grace` if nobody came back.
 */
export function createBroadcast<Item>(options: BroadcastOptions<Item>): Broadcast<Item> {
  const { weigh = () => 1, maxAhead = 256, keep = 65_536, grace } = options;
  const controller = new AbortController();
  const readers = new Set<Reader>();
  /** From number `dropped + 1` on; the first `gap` places are of items that were dropped and not yet removed. */
  const kept: (Item | undefined)[] = [];
  let gap = 0;
  let dropped = 0;
  let keptWeight = 0;
  let latest = 0;
  /** Weight of all that came since the fastest reader last asked for more. */
  let ahead = 0;
  let fastest = 0;
  let reported = 0;
  let ending: Ending | null = null;
  let wakeIsDue = false;
  let onRoom: (() => void) | null = null;
  let coming: AbortController | null = null;

  function push(item: Item): void {
    latest += 1;
    kept.push(item);
    const weight = weigh(item);
    ahead += weight;
    keptWeight += weight;
    while (keptWeight > keep && dropped + 1 < latest) dropOldest();
    wakeSoon();
  }

  function dropOldest(): void {
    keptWeight -= weigh(kept[gap] as Item);
    kept[gap] = undefined;
    gap += 1;
    dropped += 1;
    if (gap < 1024 || gap * 2 < kept.length) return;
    kept.splice(0, gap);
    gap = 0;
  }

  /** After everything that this turn of the loop brings. */
  function wakeSoon(): void {
    if (wakeIsDue) return;
    wakeIsDue = true;
    process.nextTick(() => {
      wakeIsDue = false;
      report();
      for (const reader of readers) reader.wake?.();
    });
  }

  function report(): void {
    const first = reported + 1;
    if (first > latest) return;
    reported = latest;
    options.onBatch?.({ first, items: since(first) });
  }

  function since(number: number): Item[] {
    return kept.slice(Math.max(0, number - dropped - 1) + gap) as Item[];
  }

  function finish(how: Ending): void {
    if (ending !== null) return;
    ending = how;
    coming?.abort('news');
    wakeSoon();
  }

  function cancel(reason: unknown): void {
    if (ending !== null) return;
    finish({ type: 'failed', error: reason });
    controller.abort(reason);
    onRoom?.();
  }

  /** Undefined when there is room, which is the rule: no promise is made then. */
  function room(): Promise<void> | undefined {
    if (!isFull()) return undefined;
    return new Promise((resolve) => {
      onRoom = () => {
        if (isFull() && ending === null) return;
        onRoom = null;
        resolve();
      };
    });
  }

  function isFull(): boolean {
    return ahead >= (readers.size > 0 ? maxAhead : keep);
  }

  async function run(): Promise<void> {
    let items: AsyncIterator<Item> | null = null;
    try {
      items = options.produce(controller.signal)[Symbol.asyncIterator]();
      for (;;) {
        const waited = room();
        if (waited !== undefined) await waited;
        if (ending !== null) break;
        const { done, value } = await items.next();
        if (done === true || ending !== null) break;
        push(value);
      }
      if (ending !== null) await items.return?.();
      finish({ type: 'ended' });
    } catch (error) {
      finish({ type: 'failed', error });
    }
    report();
  }

  /** Whoever asks for more has dealt with what it was given. */
  function keepPace({ given }: Reader): void {
    if (given <= fastest) return;
    fastest = given;
    ahead = given === latest ? 0 : weightAfter(given);
    onRoom?.();
  }

  function weightAfter(number: number): number {
    let weight = 0;
    for (let place = Math.max(gap, number - dropped + gap); place < kept.length; place += 1) {
      weight += weigh(kept[place] as Item);
    }
    return weight;
  }

  function leave(reader: Reader): void {
    if (!readers.delete(reader) || readers.size > 0 || ending !== null) return;
    const reason = new AppError('request_aborted', 'Nobody reads this any more.');
    if (grace === undefined || grace.milliseconds <= 0) {
      cancel(reason);
      return;
    }
    coming = new AbortController();
    grace.clock.sleep(grace.milliseconds, coming.signal).then(
      () => cancel(reason),
      () => {},
    );
    onRoom?.();
  }

  /** What the reader has not been given yet; null: it must wait. Throws what ended the broadcast. */
  function take(reader: Reader): IteratorResult<Batch<Item>> | null {
    if (reader.given < dropped) {
      throw new AppError('stream_interrupted', 'What comes next is no longer kept here.', { retryable: true });
    }
    if (reader.given < latest) {
      const first = reader.given + 1;
      reader.given = latest;
      return { done: false, value: { first, items: since(first) } };
    }
    if (ending === null) return null;
    if (ending.type === 'failed') throw ending.error;
    return { done: true, value: undefined };
  }

  function read({ after = 0, signal }: { readonly after?: number; readonly signal?: AbortSignal } = {}) {
    const reader: Reader = { given: after, wake: null };
    let left = false;
    function detach(): void {
      left = true;
      signal?.removeEventListener('abort', close);
      leave(reader);
    }
    function close(): void {
      if (!left) detach();
      reader.wake?.();
    }
    function takeOrLeave(): IteratorResult<Batch<Item>> | null {
      try {
        if (left) {
          signal?.throwIfAborted();
          return { done: true, value: undefined };
        }
        const taken = take(reader);
        if (taken?.done === true) detach();
        return taken;
      } catch (error) {
        if (!left) detach();
        throw error;
      }
    }
    function waitFor(): Promise<IteratorResult<Batch<Item>>> {
      return new Promise((resolve, reject) => {
        reader.wake = () => {
          try {
            const taken = takeOrLeave();
            if (taken === null) return;
            reader.wake = null;
            resolve(taken);
          } catch (error) {
            reader.wake = null;
            reject(error);
          }
        };
      });
    }
    readers.add(reader);
    coming?.abort('news');
    coming = null;
    if (signal?.aborted) close();
    else signal?.addEventListener('abort', close, { once: true });
    const iterator: AsyncIterableIterator<Batch<Item>> = {
      [Symbol.asyncIterator]: () => iterator,
      async next() {
        if (!left) keepPace(reader);
        return takeOrLeave() ?? waitFor();
      },
      async return() {
        close();
        return { done: true, value: undefined };
      },
    };
    return iterator;
  }

  const settled = run();
  return {
    get latest() {
      return latest;
    },
    get earliest() {
      return dropped + 1;
    },
    get readers() {
      return readers.size;
    },
    get isOver() {
      return ending !== null;
    },
    get failure() {
      return ending?.type === 'failed' ? ending : null;
    },
    settled,
    read,
    cancel,
  };
}
