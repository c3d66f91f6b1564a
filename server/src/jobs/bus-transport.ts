import type { BusSubscription, MessageBus } from '../resilience/index.ts';
import type { JobTransport } from './ports.ts';

const TOPIC = 'jobs';

/** Announcements to every process that shares a bus. What the bus loses is found by the reconciler's round. */
export function createBusTransport(bus: MessageBus): JobTransport {
  const subscriptions = new Set<BusSubscription>();
  let started = false;
  return {
    async announce(jobId) {
      if (started) bus.publish(TOPIC, jobId);
    },
    subscribe(onReady) {
      const subscription = bus.subscribe(TOPIC, {
        message(jobId) {
          // After the turn of whoever announces, as a bus may deliver within it.
          setImmediate(() => {
            if (started && subscriptions.has(subscription)) onReady(jobId);
          });
        },
      });
      subscriptions.add(subscription);
      return () => {
        subscriptions.delete(subscription);
        subscription.close();
      };
    },
    async start() {
      started = true;
    },
    async stop() {
      started = false;
    },
  };
}
