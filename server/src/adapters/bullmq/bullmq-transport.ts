import type { JobTransport } from '../../jobs/index.ts';
import type { Meter } from '../../kernel/index.ts';
import type { BullMqQueue } from './bullmq-queue.ts';

export interface BullMqTransportOptions {
  readonly queue: BullMqQueue;
  readonly meter: Meter;
}

interface Listener {
  readonly onReady: (jobId: string) => void | Promise<void>;
  readonly onNews: ((jobId: string) => void) | undefined;
}

/**
 * Announcements through a queue in Redis: each is taken by one process that has room for it, and all processes hear
 * of it. Those of one job that wait are one. An announcement that Redis does not take in time is heard in this process alone, at
 * once; others find its job in the database.
 */
export function createBullMqTransport({ queue, meter }: BullMqTransportOptions): JobTransport {
  const listeners = new Set<Listener>();
  const stopping = new AbortController();
  const stopped = new Promise<void>((resolve) => stopping.signal.addEventListener('abort', () => resolve()));
  let isStarted = false;
  let isReceiving = false;

  /** Settles when any listener has room, or when this process stops. */
  async function take(jobId: string): Promise<void> {
    if (listeners.size === 0) return;
    const room = [...listeners].map(async ({ onReady }) => onReady(jobId));
    await Promise.race([...room, stopped]);
  }

  /** A process that runs no jobs takes no announcement away from those that do. */
  function receive(): void {
    if (isReceiving || !isStarted || listeners.size === 0) return;
    isReceiving = true;
    queue.receive({
      take,
      news(jobId) {
        for (const { onNews } of [...listeners]) onNews?.(jobId);
      },
    });
  }

  return {
    async announce(jobId) {
      if (!isStarted) return;
      try {
        meter.count('chatsphere_announcements_total', { outcome: await queue.send(jobId) });
      } catch {
        meter.count('chatsphere_announcements_total', { outcome: 'local' });
        setImmediate(() => void take(jobId));
      }
    },
    subscribe(onReady, onNews) {
      const listener: Listener = { onReady: (jobId) => onReady(jobId), onNews };
      listeners.add(listener);
      receive();
      return () => void listeners.delete(listener);
    },
    async start() {
      await queue.start();
      isStarted = true;
      receive();
    },
    async stop() {
      isStarted = false;
      stopping.abort();
      await queue.stop();
    },
  };
}
