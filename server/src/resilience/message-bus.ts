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

/** A bus within one process. */
export function createMemoryBus(): MessageBus {
  const topics = new Map<string, Set<BusListener>>();
  return {
    publish(topic, text) {
      for (const listener of [...(topics.get(topic) ?? [])]) listener.message(text);
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
  };
}
