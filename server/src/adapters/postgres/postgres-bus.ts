import { Client } from 'pg';
import type { Clock, Lifecycle, Logger } from '../../kernel/index.ts';
import { createBusTopics, type MessageBus } from '../../resilience/index.ts';

export interface PostgresBusOptions {
  /** Where notifications come: the database itself, not a pooler that shares sessions. */
  readonly listenUrl: string;
  /** Sends payloads in this order, each below 8,000 bytes. */
  readonly notify: (channel: string, payloads: readonly string[]) => Promise<void>;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface PostgresBus extends MessageBus, Lifecycle {
  /** Whether messages come at the moment. */
  hears(): boolean;
}

const CHANNEL = 'chatsphere';
const PULSE = 'pulse';
const MOST_PAYLOAD_BYTES = 7_900;
const MOST_WAITING = 10_000;
/** How long a start waits to hear; it comes later then. */
const START_MS = 2_000;
const BEAT_MS = 5_000;
/** Beats without hearing anything before the connection is taken for dead. */
const DEAF_BEATS = 3;
const FIRST_RETRY_MS = 100;
const LAST_RETRY_MS = 2_000;

/** Its number in the process that sent it (equal payloads of a transaction are told once), topic, text; null: a gap. */
type Message = readonly [number, string, string | null];

/**
 * Messages by LISTEN and NOTIFY, on a connection of its own. While that is away, or a pooler keeps notifications back, this
 * process hears itself alone; everybody is told of the gap when messages come again.
 */
export function createPostgresBus({ listenUrl, notify, clock, logger }: PostgresBusOptions): PostgresBus {
  const topics = createBusTopics();
  /** Topics on which others missed something of ours. */
  const lost = new Set<string>();
  const stopping = new AbortController();
  let waiting: Message[] = [];
  let sending: Promise<void> | null = null;
  let sent = 0;
  let client: Client | null = null;
  let isHearing = false;
  let deafBeats = 0;
  let onHeard = (): void => {};
  let running: Promise<unknown> = Promise.resolve();

  function hear(payload: string | undefined): void {
    const message = readMessage(payload);
    if (message === null) return;
    deafBeats = 0;
    if (!isHearing) {
      isHearing = true;
      onHeard();
      topics.deliverGaps();
      tellLost();
    }
    topics.deliver(message[1], message[2]);
  }

  function send(topic: string, text: string | null): void {
    sent += 1;
    const message: Message = [sent, topic, text];
    // What cannot be carried is told as a gap.
    const fits = Buffer.byteLength(JSON.stringify(message)) <= MOST_PAYLOAD_BYTES;
    if (waiting.length < MOST_WAITING) waiting.push(fits ? message : [sent, topic, null]);
    else lost.add(topic);
    sending ??= sendAll();
  }

  function tellLost(): void {
    const missed = [...lost];
    lost.clear();
    for (const topic of missed) send(topic, null);
  }

  /** One after the other, so that the order stays. */
  async function sendAll(): Promise<void> {
    while (waiting.length > 0) {
      const batch = waiting;
      waiting = [];
      try {
        await notify(
          CHANNEL,
          batch.map((message) => JSON.stringify(message)),
        );
        if (isHearing) tellLost();
      } catch {
        for (const [, topic, text] of batch) {
          if (topic === PULSE) continue;
          lost.add(topic);
          // Nobody else is told now, and this process hears itself no other way.
          if (isHearing) topics.deliver(topic, text);
        }
      }
    }
    sending = null;
  }

  /** Listens until the connection is lost. */
  async function listen(): Promise<void> {
    const opened = new Client({
      connectionString: listenUrl,
      keepAlive: true,
      connectionTimeoutMillis: BEAT_MS,
      application_name: 'chatsphere notifications',
    });
    client = opened;
    const ended = new Promise<void>((resolve) => {
      opened.once('end', resolve);
      opened.on('error', () => resolve());
    });
    try {
      opened.on('notification', ({ payload }) => hear(payload));
      await opened.connect();
      await opened.query(`listen ${CHANNEL}`);
      deafBeats = 0;
      send(PULSE, '');
      await ended;
    } finally {
      isHearing = false;
      await opened.end().catch(() => {});
    }
  }

  async function listenAgainAndAgain(): Promise<void> {
    let pauseMs = FIRST_RETRY_MS;
    while (!stopping.signal.aborted) {
      const begun = clock.now();
      await listen().catch((error: unknown) => logger.debug({ error }, 'cannot listen for notifications'));
      pauseMs = clock.now() - begun > LAST_RETRY_MS ? FIRST_RETRY_MS : Math.min(2 * pauseMs, LAST_RETRY_MS);
      await clock.sleep(pauseMs, stopping.signal).catch(() => {});
    }
  }

  async function beat(): Promise<void> {
    let warned = false;
    while (!stopping.signal.aborted) {
      await clock.sleep(BEAT_MS, stopping.signal).catch(() => {});
      deafBeats += 1;
      if (deafBeats > DEAF_BEATS) {
        if (!warned) logger.warn({}, DEAF_WARNING);
        warned = true;
        deafBeats = 0;
        isHearing = false;
        client?.end().catch(() => {});
      } else if (isHearing) warned = false;
      if (!stopping.signal.aborted) send(PULSE, '');
    }
  }

  return {
    name: 'notifications',
    hears: () => isHearing,
    publish(topic, text) {
      if (!isHearing) {
        lost.add(topic);
        topics.deliver(topic, text);
      }
      send(topic, text);
    },
    subscribe: topics.subscribe,
    async start() {
      const heard = new Promise<void>((resolve) => {
        onHeard = resolve;
      });
      running = Promise.all([listenAgainAndAgain(), beat()]);
      const patience = new AbortController();
      await Promise.race([heard, clock.sleep(START_MS, patience.signal).catch(() => {})]);
      patience.abort();
    },
    async stop() {
      stopping.abort();
      await client?.end().catch(() => {});
      await running;
      await sending;
      topics.clear();
    },
  };
}

const DEAF_WARNING =
  'Notifications of the database do not come, so that other processes are noticed seconds later. With PgBouncer, set DATABASE_LISTEN_URL to the address of the database itself';

function readMessage(payload: string | undefined): Message | null {
  try {
    const message: unknown = JSON.parse(payload ?? '');
    return Array.isArray(message) && typeof message[1] === 'string' ? (message as unknown as Message) : null;
  } catch {
    // Of another program that uses the same channel.
    return null;
  }
}
