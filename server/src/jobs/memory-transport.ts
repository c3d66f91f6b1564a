import type { JobTransport } from './ports.ts';

/** Announcements within one process. Listeners hear them after the announcer's current turn, never inside of it. */
export function createMemoryTransport(): JobTransport {
  const listeners = new Set<(jobId: string) => void | Promise<void>>();
  let started = false;
  return {
    async announce(jobId) {
      if (!started) return;
      setImmediate(() => {
        for (const listener of started ? listeners : []) void listener(jobId);
      });
    },
    subscribe(onReady) {
      const listener = (jobId: string): void | Promise<void> => onReady(jobId);
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    async start() {
      started = true;
    },
    async stop() {
      started = false;
    },
  };
}
