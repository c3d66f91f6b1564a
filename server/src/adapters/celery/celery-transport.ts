import { randomUUID } from 'node:crypto';
import type { JobTransport } from '../../jobs/index.ts';
import type { Clock, Meter } from '../../kernel/index.ts';
import { readTask, writeTask } from './message.ts';
import type { CeleryBroker, CeleryDelivery } from './ports.ts';

/** The task that an announcement is. */
export const RUN_JOB_TASK = 'chatsphere.run_job';

export interface CeleryTransportOptions {
  readonly broker: CeleryBroker;
  readonly queue: string;
  readonly clock: Clock;
  readonly meter: Meter;
  /** How long an announcement waits for the broker, in milliseconds; default 100. */
  readonly timeoutMs?: number;
}

/** Announcements that are taken and not yet given to a runner, while all places of this process are taken. */
const HELD = 2;
/** What nobody took by then is found in the database. */
const EXPIRES_MS = 60_000;
const MOST_WAITING = 10_000;

/** Announcements as tasks of Celery: each is taken by one process that has room for it. */
export function createCeleryTransport(options: CeleryTransportOptions): JobTransport {
  const { broker, queue, clock, meter, timeoutMs = 100 } = options;
  const listeners = new Set<(jobId: string) => void | Promise<void>>();
  const stopping = new AbortController();
  const stopped = new Promise<void>((resolve) => stopping.signal.addEventListener('abort', () => resolve()));
  let isStarted = false;
  let receiving: Promise<() => Promise<void>> | null = null;

  async function take(jobId: string): Promise<void> {
    if (listeners.size === 0) return;
    const room = [...listeners].map(async (onReady) => onReady(jobId));
    await Promise.race([...room, stopped]);
  }

  async function onDelivery(delivery: CeleryDelivery): Promise<void> {
    const read = delivery.envelope === null ? null : readTask(delivery.envelope);
    const [jobId] = read?.type === 'task' && read.task.name === RUN_JOB_TASK ? read.task.args : [];
    if (typeof jobId === 'string') await take(jobId);
    if (stopping.signal.aborted) await delivery.giveBack();
    else await delivery.ack();
  }

  /** A process that runs no jobs takes no announcement away from those that do. */
  function receive(): void {
    if (receiving !== null || !isStarted || listeners.size === 0) return;
    receiving = broker.consume(queue, {
      places: HELD,
      keep: MOST_WAITING,
      onDelivery: (delivery) => void onDelivery(delivery).catch(() => {}),
    });
    receiving.catch(() => {
      receiving = null;
    });
  }

  async function send(jobId: string): Promise<void> {
    const envelope = writeTask({
      ...{ id: randomUUID(), name: RUN_JOB_TASK, args: [jobId], ignoreResult: true },
      expires: clock.now() + EXPIRES_MS,
    });
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => reject(new Error('The broker does not answer in time.')), timeoutMs);
    });
    try {
      await Promise.race([broker.publish(queue, envelope, { keep: MOST_WAITING }), late]);
    } finally {
      clearTimeout(timer);
    }
  }

  return {
    async announce(jobId) {
      if (!isStarted) return;
      try {
        await send(jobId);
        meter.count('chatsphere_announcements_total', { outcome: 'sent' });
      } catch {
        meter.count('chatsphere_announcements_total', { outcome: 'local' });
        setImmediate(() => void take(jobId));
      }
    },
    subscribe(onReady) {
      const listener = (jobId: string): void | Promise<void> => onReady(jobId);
      listeners.add(listener);
      receive();
      return () => void listeners.delete(listener);
    },
    async start() {
      isStarted = true;
      receive();
    },
    async stop() {
      isStarted = false;
      stopping.abort();
      const close = await receiving?.catch(() => null);
      await close?.();
    },
  };
}
