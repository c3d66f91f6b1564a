import type { Queue, QueueEvents, Worker } from 'bullmq';
import type { Lifecycle, Logger, Meter } from '../../kernel/index.ts';
import { openQueueClients, type QueueClients } from './queue-clients.ts';

/** What a message of the queue holds. */
export interface Announcement {
  readonly job: string;
}

export interface BullMqOptions {
  readonly settings: {
    /** `redis://` or `rediss://`. A secret. */
    readonly url: string;
    /** Every key begins with it. */
    readonly prefix: string;
    /** How long an announcement waits for Redis, in milliseconds. */
    readonly timeoutMs: number;
  };
  readonly logger: Logger;
  readonly meter: Meter;
  /** How often the queue is measured, in milliseconds; default 5,000. */
  readonly measureMs?: number;
  /** For how long announcements of one job that wait are one, in milliseconds; default 60,000. */
  readonly oneForMs?: number;
}

/** What the receiver of announcements does with each. */
export interface AnnouncementHandlers {
  /** Settles when this process has room for another one. */
  take(jobId: string): Promise<void>;
  /** Each announcement of any process, taken here or not. */
  news(jobId: string): void;
}

/** The queue of announcements in Redis, by BullMQ. */
export interface BullMqQueue extends Lifecycle {
  /** Rejects when Redis does not take it in time. */
  send(jobId: string): Promise<'sent' | 'skipped'>;
  /** Begins to take announcements; to be called once, after `start`. */
  receive(handlers: AnnouncementHandlers): void;
  /** BullMQ's own object, for its board; null before `start`. */
  queue(): Queue<Announcement> | null;
}

const NAME = 'jobs';
/** Announcements that are taken and not yet given to a runner, while all places of this process are taken. */
const HELD = 2;
/** Ended announcements that are kept to be looked at. */
const KEPT = { count: 200 };
/** An announcement that was lost on its way, with a process that was killed say, stands in the way of the next no longer than this. */
const ONE_FOR_MS = 60_000;
const EVENTS_KEPT = 1_000;
/** More are not kept waiting: runners look at the database by themselves. */
const MOST_WAITING = 10_000;
/** Announcements on their way to a Redis that is slow. */
const MOST_UNDER_WAY = 500;
/** A wait for news is given up after this. */
const EVENTS_WAIT_MS = 2_000;
const START_MS = 1_000;
const STOP_MS = 2_000;
const STATES = ['wait', 'active', 'completed', 'failed', 'delayed'] as const;

/** Nothing is connected, or even loaded, before `start`. */
export function openBullMq(options: BullMqOptions): BullMqQueue {
  const { settings, logger, meter, measureMs = 5_000, oneForMs = ONE_FOR_MS } = options;
  const prefix = `${settings.prefix}@/bullmq`;
  let clients: QueueClients | null = null;
  let queue: Queue<Announcement> | null = null;
  let worker: Worker<Announcement> | null = null;
  let events: QueueEvents | null = null;
  let bullmq: typeof import('bullmq') | null = null;
  let timer: NodeJS.Timeout | null = null;
  let underWay = 0;
  let waiting = 0;
  let sent = 0;
  let loggedReason = '';

  /** One line a cause: a Redis that is away says the same many times a second. */
  function onError(error: Error): void {
    const reason = error.message;
    if (reason === loggedReason) return;
    loggedReason = reason;
    logger.warn({ reason }, 'The queue of announcements is not to be had in Redis; jobs are found in the database');
  }

  async function measure(): Promise<void> {
    if (queue === null) return;
    try {
      const counts = await within(queue.getJobCounts(...STATES), measureMs);
      waiting = (counts['wait'] ?? 0) + (counts['delayed'] ?? 0);
      loggedReason = '';
      for (const state of STATES) {
        const name = state === 'wait' ? 'waiting' : state;
        meter.gauge('chatsphere_queue_announcements', { state: name }, counts[state] ?? 0);
      }
    } catch {
      // Redis is away: the last figures stay.
    }
  }

  /** The number keeps announcements of one job apart; it begins the time and ends at random. */
  function nameOf(jobId: string): string {
    sent += 1;
    return `${jobId}~${Date.now().toString(36)}${Math.random().toString(36).slice(2, 8)}${sent}`;
  }

  const jobOf = (name: string): string => name.slice(0, name.lastIndexOf('~'));

  function watch(source: QueueEvents, { news }: AnnouncementHandlers): void {
    source.on('error', onError);
    source.on('waiting', ({ jobId }) => news(jobOf(jobId)));
    source.on('deduplicated', ({ deduplicationId }) => news(deduplicationId));
  }

  return {
    name: 'bullmq',
    queue: () => queue,
    receive(handlers) {
      if (bullmq === null || clients === null) return;
      const common = { connection: clients.receiver, prefix, skipVersionCheck: true };
      worker = new bullmq.Worker<Announcement>(
        NAME,
        async (message) => {
          // From now on the job may be announced again: what changes after this was not looked at.
          await message.removeDeduplicationKey();
          await handlers.take(message.data.job);
        },
        { ...common, concurrency: HELD, runRetryDelay: START_MS, removeOnComplete: KEPT, removeOnFail: KEPT },
      );
      worker.on('error', onError);
      events = new bullmq.QueueEvents(NAME, { ...common, blockingTimeout: EVENTS_WAIT_MS });
      watch(events, handlers);
    },
    async send(jobId) {
      if (queue === null || underWay >= MOST_UNDER_WAY) throw new Error('Redis is not there.');
      if (waiting >= MOST_WAITING) return 'skipped';
      underWay += 1;
      const deduplication = { id: jobId, ttl: oneForMs };
      const added = queue.add('ready', { job: jobId }, { jobId: nameOf(jobId), deduplication });
      const settled = added.finally(() => {
        underWay -= 1;
      });
      settled.catch(() => {});
      await within(settled, settings.timeoutMs);
      waiting += 1;
      return 'sent';
    },
    async start() {
      bullmq = await import('bullmq');
      clients = await openQueueClients(settings.url, onError);
      queue = new bullmq.Queue(NAME, {
        connection: clients.sender,
        prefix,
        skipVersionCheck: true,
        streams: { events: { maxLen: EVENTS_KEPT } },
        defaultJobOptions: { removeOnComplete: KEPT, removeOnFail: KEPT },
      });
      queue.on('error', onError);
      await within(queue.waitUntilReady(), START_MS).catch(() => {});
      await measure();
      timer = setInterval(() => void measure(), measureMs);
    },
    async stop() {
      if (timer !== null) clearInterval(timer);
      const isAway = clients?.sender.status !== 'ready';
      // Without Redis nothing of it would end before its connections do, and nothing is lost with them.
      if (isAway) clients?.close();
      const closing = Promise.allSettled([worker?.close(isAway), events?.close(), queue?.close()]);
      [worker, events, queue] = [null, null, null];
      if (!isAway) await within(closing, STOP_MS).catch(() => {});
      clients?.close();
    },
  };
}

function within<Value>(promise: Promise<Value>, milliseconds: number): Promise<Value> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`Redis did not answer within ${milliseconds} ms.`)), milliseconds);
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
