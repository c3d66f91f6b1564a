import type { Redis } from 'ioredis';
import type { Lifecycle } from '../../kernel/index.ts';
import type { BusListener, MessageBus } from '../../resilience/index.ts';
import { openClient } from './redis-client.ts';
import type { RedisConnection } from './redis-connection.ts';
import { sharedKey } from './redis-settings.ts';
import { withinTime } from './within-time.ts';

/** A bus that notices when it no longer hears. */
export interface RedisBus extends MessageBus, Lifecycle {
  /** To be called every few seconds: a connection on which not even one's own messages come is made anew. */
  beat(): void;
}

const PULSE = 'pulse';
/** Beats without hearing the pulse before the connection is taken for dead. */
const DEAF_BEATS = 3;
/** How long a start waits to hear; it comes later then. */
const START_MS = 1_000;
const MOST_LOST = 1_000;
/** What no message begins with. */
const GAP = '\u0000gap';

interface Topic {
  readonly listeners: Set<BusListener>;
  /** Of the subscription at Redis; null: it is not asked for, as there is no connection. */
  ready: Promise<void> | null;
}

/** Messages through publish and subscribe of Redis, on a connection of its own. While Redis is away only this process hears. */
export function createRedisBus({ redis }: { readonly redis: RedisConnection }): RedisBus {
  const beginning = sharedKey(redis.settings, 'bus', '');
  const topics = new Map<string, Topic>();
  /** Topics on which others missed something of ours. */
  const lost = new Set<string>();
  let client: Redis | null = null;
  let deafBeats = 0;

  function deliver(name: string, text: string): void {
    deafBeats = 0;
    for (const listener of [...(topics.get(name)?.listeners ?? [])]) {
      if (text === GAP) listener.gap?.();
      else listener.message(text);
    }
  }

  /** Never rejects. */
  async function listen(name: string): Promise<void> {
    if (client?.status !== 'ready') return;
    try {
      await withinTime(client.subscribe(beginning + name), redis.settings.timeoutMs);
    } catch {
      // Redis is away, or the connection was lost: all topics are asked for again on the next.
    }
  }

  async function listenToAll(): Promise<void> {
    const channels = [...topics.keys()].map((name) => beginning + name);
    await client?.subscribe(...channels).catch(() => {});
    for (const name of topics.keys()) deliver(name, GAP);
  }

  function send(topic: string, text: string): void {
    void redis.ask<unknown>(
      'publish',
      (commands) => commands.publish(beginning + topic, text),
      () => {
        if (topic === PULSE || lost.size >= MOST_LOST) return;
        lost.add(topic);
        // Nobody else is told now, and this process hears itself no other way.
        deliver(topic, text);
      },
    );
  }

  redis.onUp(() => {
    const missed = [...lost];
    lost.clear();
    for (const topic of missed) send(topic, GAP);
  });

  const bus: RedisBus = {
    name: 'redis bus',
    publish: send,
    subscribe(name, listener) {
      const own = { ...listener };
      const topic = topics.get(name) ?? { listeners: new Set(), ready: null };
      topics.set(name, topic);
      topic.listeners.add(own);
      topic.ready ??= listen(name);
      return {
        ready: topic.ready,
        close() {
          topic.listeners.delete(own);
          if (topic.listeners.size > 0 || topics.get(name) !== topic) return;
          topics.delete(name);
          if (client?.status === 'ready') client.unsubscribe(beginning + name).catch(() => {});
        },
      };
    },
    beat() {
      deafBeats += 1;
      if (deafBeats > DEAF_BEATS && redis.state() === 'up' && client?.status === 'ready') {
        deafBeats = 0;
        client.disconnect(true);
      }
      send(PULSE, '');
    },
    async start() {
      bus.subscribe(PULSE, { message: () => {} });
      let hears = (): void => {};
      const hearing = new Promise<void>((resolve) => {
        hears = resolve;
      });
      const onReady = (): void => void listenToAll().then(hears);
      client = await openClient(redis.settings, { onReady, onClosed: () => {} });
      client.on('message', (channel: string, text: string) => {
        if (channel.startsWith(beginning)) deliver(channel.slice(beginning.length), text);
      });
      await withinTime(hearing, START_MS).catch(() => {});
    },
    async stop() {
      client?.disconnect();
      topics.clear();
    },
  };
  return bus;
}
