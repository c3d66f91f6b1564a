import fc from 'fast-check';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { type JsonValue, silentLogger, silentMeter, systemClock } from '../../kernel/index.ts';
import { describeWithRedis, startTestRedis, type TestRedis } from '../redis/redis-server.contract.ts';
import { type OpenedCelery, openCelery } from './index.ts';
import { writeTask } from './message.ts';
import type { CeleryBroker, TaskSettlements } from './ports.ts';
import { toRedisText } from './redis-wire.ts';
import { createTaskServer, type TaskServerOptions } from './task-server.ts';

const SLOW_MS = 120_000;

describeWithRedis('a worker on a queue in Redis', () => {
  let redis: TestRedis;
  let direct: Redis;
  const stops: (() => Promise<void>)[] = [];
  let deliveries = 0;
  beforeAll(async () => {
    redis = await startTestRedis();
    direct = new Redis(redis.url);
    direct.on('error', () => {});
  });
  afterEach(async () => {
    for (const stop of stops.splice(0).reverse()) await stop();
  });
  afterAll(async () => {
    direct?.disconnect();
    await redis?.stop();
  });

  async function open(
    queue: string,
    handler: (arg: JsonValue | undefined) => Promise<JsonValue>,
    more: Pick<TaskServerOptions, 'settlements'> = {},
  ): Promise<OpenedCelery> {
    const settings = { brokerUrl: redis.url, resultBackend: redis.url, resultExpireSeconds: 60 };
    const celery = openCelery({ settings, clock: systemClock, logger: silentLogger, leaseMs: 500 });
    await celery.start();
    const broker: CeleryBroker = {
      ...celery.broker,
      consume: (name, options) =>
        celery.broker.consume(name, {
          ...options,
          onDelivery(delivery) {
            deliveries += 1;
            options.onDelivery(delivery);
          },
        }),
    };
    const server = createTaskServer({
      ...{ broker, results: celery.results, queue, clock: systemClock },
      ...{ logger: silentLogger, meter: silentMeter, places: 4, ...more },
      handlers: new Map([['do', ({ args }) => handler(args[0])]]),
    });
    await server.start();
    stops.push(
      () => celery.stop(),
      () => server.stop(),
    );
    return celery;
  }

  it('goes on after whatever is put into it', { timeout: SLOW_MS }, async () => {
    const celery = await open('hostile', async (arg = null) => arg);
    const bytes = fc.uint8Array({ maxLength: 200 }).map((part) => Buffer.from(part));
    const values = fc.jsonValue({ maxDepth: 3 });
    const shapes = fc
      .record(
        { body: values, headers: values, properties: values, 'content-type': values, 'content-encoding': values },
        { requiredKeys: [] },
      )
      .map((message) => Buffer.from(JSON.stringify(message)));
    const tasks = fc.tuple(values, values, values).map((body) => {
      const written = { ...writeTask({ id: 'hostile', name: 'do' }), body: Buffer.from(JSON.stringify(body)) };
      return Buffer.from(
        JSON.stringify({
          body: written.body.toString('base64'),
          headers: written.headers,
          properties: { body_encoding: 'base64', correlation_id: {}, delivery_tag: 5 },
          'content-type': 'application/json',
          'content-encoding': 'utf-8',
        }),
      );
    });
    await fc.assert(
      fc.asyncProperty(fc.array(fc.oneof(bytes, shapes, tasks), { minLength: 1, maxLength: 30 }), async (messages) => {
        await direct.lpush('hostile', ...messages);
        const sent = await celery.client.sendTask('do', { queue: 'hostile', args: ['still here'] });
        expect(await sent.result()).toBe('still here');
      }),
      { numRuns: 25 },
    );
    const huge = JSON.stringify({ body: 'a'.repeat(40 * 1024 ** 2) });
    await direct.lpush('hostile', huge);
    const sent = await celery.client.sendTask('do', { queue: 'hostile', args: [1] });
    expect(await sent.result()).toBe(1);
    await until(async () => (await direct.keys('hostile:chatsphere:taken:*')).length === 0);
  });

  it('takes over what a consumer that died had taken, and what came while Redis was away', {
    timeout: SLOW_MS,
  }, async () => {
    const message = writeTask({ id: 'left', name: 'do', args: ['left'] });
    const text = JSON.stringify({
      body: message.body.toString('base64'),
      headers: message.headers,
      properties: { body_encoding: 'base64', correlation_id: 'left' },
      'content-type': 'application/json',
      'content-encoding': 'utf-8',
    });
    await direct.zadd('heirs:chatsphere:consumers', 1, 'dead');
    await direct.lpush('heirs:chatsphere:taken:dead', text);
    const done: JsonValue[] = [];
    const celery = await open('heirs', async (arg = null) => {
      done.push(arg);
      return arg;
    });
    await until(() => done.includes('left'));
    expect(await direct.zscore('heirs:chatsphere:consumers', 'dead')).toBeNull();

    await redis.stop();
    await expect(celery.client.sendTask('do', { queue: 'heirs', args: ['away'] })).rejects.toThrow();
    await redis.start();
    await until(async () => {
      const sent = await celery.client.sendTask('do', { queue: 'heirs', args: ['back'] }).catch(() => null);
      return sent !== null && (await sent.result()) === 'back';
    });
  });

  it('does a message that comes twice at once only once, and urgent ones first', { timeout: SLOW_MS }, async () => {
    const begun: JsonValue[] = [];
    let letGo = (): void => {};
    const held = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    const queue = 'twice';
    const sender = openCelery({
      settings: { brokerUrl: redis.url, resultBackend: redis.url, resultExpireSeconds: 60 },
      ...{ clock: systemClock, logger: silentLogger },
    });
    await sender.start();
    stops.push(() => sender.stop());
    for (const priority of [9, 6, 3, 0]) {
      await sender.client.sendTask('do', { queue, priority, args: [priority] });
    }
    await open(queue, async (arg = null) => {
      begun.push(arg);
      await held;
      return arg;
    });
    await until(() => begun.length === 4);
    expect(begun).toEqual([0, 3, 6, 9]);
    letGo();

    let runs = 0;
    deliveries = 0;
    await open('again', async () => {
      runs += 1;
      await until(() => deliveries === 2);
      return runs;
    });
    const twice = { queue: 'again', id: 'same' };
    const [first, second] = await Promise.all([
      sender.client.sendTask('do', twice),
      sender.client.sendTask('do', twice),
    ]);
    expect([await first.result(), await second.result()]).toEqual([1, 1]);
  });

  it('calls what is linked once, when its message comes twice at once or again later', {
    timeout: SLOW_MS,
  }, async () => {
    const queue = 'linking';
    const next = { task: 'next', args: [], kwargs: {}, options: { queue: 'linked' }, subtask_type: null };
    const message = toRedisText(writeTask({ id: 'parent', name: 'do', callbacks: [next] }), queue);
    const other = toRedisText(writeTask({ id: 'parent', name: 'do', callbacks: [next] }), queue);
    let runs = 0;
    deliveries = 0;
    const handler = async (): Promise<JsonValue> => {
      runs += 1;
      if (runs === 1) await until(() => deliveries === 2);
      return runs;
    };
    await open(queue, handler, { settlements: settledInMemory() });
    await direct.lpush(queue, message, other);
    const isQuiet = async (): Promise<boolean> =>
      (await direct.llen(queue)) === 0 && (await direct.keys(`${queue}:chatsphere:taken:*`)).length === 0;
    await until(async () => deliveries === 2 && (await isQuiet()));
    expect([runs, await direct.llen('linked')]).toEqual([1, 1]);
    await direct.lpush(queue, message);
    await until(async () => deliveries === 3 && (await isQuiet()));
    expect([runs, await direct.llen('linked')]).toEqual([2, 1]);
    // The first success stays.
    const result = JSON.parse((await direct.get('celery-task-meta-parent')) ?? '{}') as { result: unknown };
    expect(result.result).toBe(1);
  });
});

function settledInMemory(): TaskSettlements {
  const settled = new Map<string, string>();
  return {
    async once(name, { note, act }) {
      const kept = settled.get(name);
      if (kept !== undefined) return kept;
      settled.set(name, note);
      await act();
      return note;
    },
  };
}

async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isSo())) await new Promise((resolve) => setTimeout(resolve, 5));
}
