/**
 * Short messages to every process that shares something, this one included. They may be lost: who listens is then told
 * that there is a gap, at the latest when messages come again.
 */
export interface MessageBus {
  publish(topic: string, text: string): void;
  subscribe(topic: string, listener: BusListener): BusSubscription;
}

export interface BusListener {
  message(text: string): void;
  /** Messages may have been missed: what was kept because nothing else was said may be out of date. */
  gap?(): void;
}

export interface BusSubscription {
  /** Resolves once every later message comes, or that cannot be had now. Never rejects. */
  readonly ready: Promise<void>;
  close(): void;
}

/** Who listens to what within this process. */
interface BusTopics {
  /** Null: there is a gap. */
  deliver(topic: string, text: string | null): void;
  /** Tells everybody that there is a gap. */
  deliverGaps(): void;
  subscribe(topic: string, listener: BusListener): BusSubscription;
  clear(): void;
}

export function createBusTopics(): BusTopics {
  const topics = new Map<string, Set<BusListener>>();
  function deliver(topic: string, text: string | null): void {
    for (const listener of [...(topics.get(topic) ?? [])]) {
      if (text === null) listener.gap?.();
      else listener.message(text);
    }
  }
  return {
    deliver,
    deliverGaps() {
      for (const topic of topics.keys()) deliver(topic, null);
    },
    subscribe(topic, listener) {
      // An object of its own, so that a listener may come twice.
      const own = { ...listener };
      const listeners = topics.get(topic) ?? new Set();
      topics.set(topic, listeners.add(own));
      return {
        ready: Promise.resolve(),
        close() {
          listeners.delete(own);
          if (listeners.size === 0 && topics.get(topic) === listeners) topics.delete(topic);
        },
      };
    },
    clear: () => topics.clear(),
  };
}

/** A bus within one process. */
export function createMemoryBus(): MessageBus {
  const topics = createBusTopics();
  return { publish: topics.deliver, subscribe: topics.subscribe };
}
