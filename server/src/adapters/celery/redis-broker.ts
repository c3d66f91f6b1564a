import { randomUUID } from 'node:crypto';
import type { Redis } from 'ioredis';
import type { Logger } from '../../kernel/index.ts';
import type { CeleryBroker, CeleryDelivery, ConsumeOptions } from './ports.ts';
import { openRedisClient } from './redis-client.ts';
import { consumersOf, takenStartOf, tasksInRedis } from './redis-presence.ts';
import { fromRedisText, listFor, listsOf, toRedisText } from './redis-wire.ts';

export interface RedisBrokerOptions {
  /** `redis://` or `rediss://`. A secret. */
  readonly url: string;
  readonly logger: Logger;
  /** How long a consumer may give no sign of life before its messages go to others, in milliseconds; default 30,000. */
  readonly leaseMs?: number;
}

const DEFAULT_LEASE_MS = 30_000;
/** How long a wait for a message lasts at Redis; urgency and the end of this process are looked at in between. */
const WAIT_SECONDS = 0.5;
const REST_MS = 200;
/** Messages that wait here for their time beside those that have a place. */
const MOST_PARKED = 1_000;

/**
 * Takes the most urgent message into the consumer's own list, in one step: a consumer that dies has lost nothing, unlike one that
 * pops first and writes down after. KEYS: consumers, taken, lists; ARGV: consumer, lease.
 */
const TAKE = `
local time = redis.call('TIME')
redis.call('ZADD', KEYS[1], time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[2], ARGV[1])
for i = 3, #KEYS do
  local message = redis.call('RPOP', KEYS[i])
  if message then
    redis.call('LPUSH', KEYS[2], message)
    return message
  end
end
return false`;

/** Gives a sign of life, and back to the queue what silent consumers had. KEYS: consumers, queue; ARGV: consumer, lease, start of the names of taken lists. */
const BEAT = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
local moved = 0
for _, consumer in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now)) do
  local taken = ARGV[3] .. consumer
  while true do
    local message = redis.call('LPOP', taken)
    if not message then break end
    redis.call('RPUSH', KEYS[2], message)
    moved = moved + 1
  end
  redis.call('ZREM', KEYS[1], consumer)
end
return moved`;

/** Gives one message back, to be the next. KEYS: taken, list; ARGV: message. */
const GIVE_BACK = `
if redis.call('LREM', KEYS[1], 1, ARGV[1]) == 0 then return 0 end
return redis.call('RPUSH', KEYS[2], ARGV[1])`;

/** Celery's queues as kombu keeps them in Redis: lists, to which is added on the left and taken from the right. */
export function createRedisBroker({ url, logger, leaseMs = DEFAULT_LEASE_MS }: RedisBrokerOptions): CeleryBroker {
  let client: Redis | null = null;
  const closers = new Set<() => Promise<void>>();

  function connected(): Redis {
    if (client === null) throw new Error('The broker was not started.');
    return client;
  }

  async function consume(queue: string, options: ConsumeOptions): Promise<() => Promise<void>> {
    const id = randomUUID();
    const consumers = consumersOf(queue);
    const takenStart = takenStartOf(queue);
    const taken = takenStart + id;
    const lists = listsOf(queue);
    /** As their bytes in Latin 1: what stands in a list need not be text. */
    const held = new Set<string>();
    const waiter = await openRedisClient(url, logger);
    let isStopped = false;
    let [active, parked] = [0, 0];
    let wake = (): void => {};

    const take = async (): Promise<Buffer | null> => {
      const names = [consumers, taken, ...lists];
      const message = await connected().callBuffer('EVAL', TAKE, names.length, ...names, id, String(leaseMs));
      return Buffer.isBuffer(message) ? message : null;
    };

    /** What a connection that was lost had taken without this process hearing of it. */
    async function giveBackUnknown(): Promise<void> {
      for (const message of await connected().lrangeBuffer(taken, 0, -1)) {
        if (!held.has(message.toString('latin1'))) await connected().eval(GIVE_BACK, 2, taken, queue, message);
      }
    }

    function deliver(message: Buffer): void {
      const key = message.toString('latin1');
      held.add(key);
      active += 1;
      let [isParked, isDone] = [false, false];
      const leave = (): void => {
        if (isDone) return;
        isDone = true;
        if (isParked) parked -= 1;
        else active -= 1;
        wake();
      };
      const delivery: CeleryDelivery = {
        envelope: fromRedisText(message.toString('utf8')),
        async ack() {
          leave();
          await connected().lrem(taken, 1, message);
          held.delete(key);
        },
        async giveBack() {
          leave();
          held.delete(key);
          await connected().eval(GIVE_BACK, 2, taken, queue, message);
        },
        park() {
          if (isDone || parked >= MOST_PARKED) return () => {};
          isParked = true;
          parked += 1;
          active -= 1;
          wake();
          return () => {
            if (isDone || !isParked) return;
            isParked = false;
            parked -= 1;
            active += 1;
          };
        },
      };
      options.onDelivery(delivery);
    }

    async function run(): Promise<void> {
      let hasFailed = false;
      while (!isStopped) {
        if (active >= options.places) {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
          continue;
        }
        try {
          if (hasFailed) await giveBackUnknown();
          hasFailed = false;
          const message = (await take()) ?? (await waiter.blmoveBuffer(queue, taken, 'RIGHT', 'LEFT', WAIT_SECONDS));
          if (message !== null) deliver(message);
        } catch {
          hasFailed = true;
          await new Promise((resolve) => setTimeout(resolve, REST_MS));
        }
      }
    }

    const beat = async (): Promise<void> => {
      const moved = Number(await connected().eval(BEAT, 2, consumers, queue, id, String(leaseMs), takenStart));
      if (moved > 0) logger.info({ queue, messages: moved }, 'Messages of a consumer that is gone go to others');
    };
    await beat().catch(() => {});
    const timer = setInterval(() => void beat().catch(() => {}), leaseMs / 4);
    const running = run();
    const close = async (): Promise<void> => {
      if (isStopped) return;
      isStopped = true;
      closers.delete(close);
      wake();
      await running;
      clearInterval(timer);
      waiter.disconnect();
      held.clear();
      await giveBackUnknown()
        .then(() => connected().zrem(consumers, id))
        .catch(() => {});
    };
    closers.add(close);
    return close;
  }

  return {
    name: 'celery broker',
    async publish(queue, envelope, { keep } = {}) {
      const list = listFor(queue, envelope.priority);
      await connected().lpush(list, toRedisText(envelope, queue));
      if (keep !== undefined) await connected().ltrim(list, 0, keep - 1);
    },
    consume,
    tasksIn: async (queue, ids) => tasksInRedis(connected(), queue, ids),
    async start() {
      client = await openRedisClient(url, logger);
    },
    async stop() {
      await Promise.all([...closers].map((close) => close()));
      client?.disconnect();
    },
  };
}
