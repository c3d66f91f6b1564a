import { Redis } from 'ioredis';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { cacheKey, ownerPrefix } from '../../cache/index.ts';
import { createManualClock, silentLogger, silentMeter, systemClock } from '../../kernel/index.ts';
import { createRateLimiter, createSharedRateLimiter } from '../../security/index.ts';
import { type OpenedRedis, pingRedis } from './index.ts';
import { createRedisConnection } from './redis-connection.ts';
import { type OpenOptions, openForTest, until } from './redis-parts.contract.ts';
import { describeWithRedis, startTestRedis, type TestRedis } from './redis-server.contract.ts';

const owner = { tenantId: 'tnt_a', botId: 'bot_a' };
const key = (name: string) => cacheKey(owner, 'answer', [name]);
const local = createRateLimiter({ clock: systemClock });
const TIMEOUT_MS = 50;
const MOST_ADDED_MS = 100;

describeWithRedis('Redis that fails', () => {
  let server: TestRedis;
  let opened: OpenedRedis[];
  beforeEach(async () => {
    server = await startTestRedis();
    opened = [];
  });
  afterEach(async () => {
    server.resume();
    await Promise.all(opened.map((redis) => redis.stop()));
    await server.stop();
  });

  async function open(options: Omit<OpenOptions, 'url'> = {}): Promise<OpenedRedis> {
    const redis = await openForTest({ url: server.url, ...options });
    opened.push(redis);
    return redis;
  }

  /** What a request asks of Redis, one after the other; what is given back is checked. */
  async function request(redis: OpenedRedis, number: number): Promise<void> {
    const limiter = createSharedRateLimiter({ local, shared: redis.limits });
    const admission = await limiter.admit('key', { requestsPerMinute: 1_000_000, concurrent: 1000 });
    expect(admission.allowed).toBe(true);
    await redis.cache.get(key(`${number}`));
    const lease = await redis.leases.acquire(cacheKey(owner, 'lease', [number]), 60_000);
    expect(lease).not.toBeNull();
    redis.circuitStates.read('openai|k|m');
    await redis.circuitStates.claimProbe('openai|k|m', Date.now());
    await redis.cache.set(key(`${number}`), `answer ${number}`, 60_000);
    expect(await redis.cache.get(key(`${number}`))).toBe(`answer ${number}`);
    await lease?.release();
    if (admission.allowed) admission.finish();
  }

  it.each([
    ['is paused', async () => server.pause()],
    ['is killed', () => server.stop()],
  ] as const)('adds at most 100 ms to any request, and no error, when it %s under load', async (_, breakIt) => {
    const redis = await open({ timeoutMs: TIMEOUT_MS });
    await until(() => redis.state() === 'up');
    const stall = watchStalls();
    const took: number[] = [];
    let number = 0;
    const load = async (): Promise<void> => {
      while (took.length < 800) {
        const begun = { at: performance.now(), stalledMs: stall.total() };
        number += 1;
        await request(redis, number);
        took.push(performance.now() - begun.at - (stall.total() - begun.stalledMs));
        if (took.length === 200) await breakIt();
        if (took.length % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
    };
    await Promise.all(Array.from({ length: 10 }, load));
    stall.stop();
    expect(redis.state()).toBe('away');
    expect(Math.max(...took)).toBeLessThanOrEqual(MOST_ADDED_MS);
  });

  it('is used again once it answers, and what it could not be told then is', async () => {
    const [redis, other] = await Promise.all([open({ timeoutMs: 200 }), open()]);
    await redis.cache.set(key('old'), 'of deleted content', 60_000);
    const work = cacheKey(owner, 'lease', ['work']);
    const lease = await redis.leases.acquire(work, 60_000);
    expect(lease).not.toBeNull();
    server.pause();
    await redis.cache.deleteAll(ownerPrefix(owner));
    await lease?.release();
    expect(redis.state()).toBe('away');
    expect(await redis.cache.get(key('old'))).toBeNull();
    server.resume();
    await until(() => redis.state() === 'up' && other.state() === 'up');
    await until(async () => (await other.cache.get(key('old'))) === null);
    await until(async () => (await other.leases.acquire(work, 60_000)) !== null);
  });

  it('comes back empty: open circuits stay open, limits hold, and values are kept anew', async () => {
    const clock = createManualClock();
    const [redis, other] = await Promise.all([open({ clock }), open({ clock })]);
    const circuit = { until: clock.now() + 60_000, after: 'probe', reason: 'provider_error', times: 1 } as const;
    await redis.circuitStates.open('openai|k|m', circuit);
    await until(() => other.circuitStates.read('openai|k|m') !== null);
    const limiter = createSharedRateLimiter({ local: createRateLimiter({ clock }), shared: redis.limits });
    for (let count = 0; count < 3; count += 1) await limiter.admit('key', { requestsPerMinute: 3 });
    await redis.cache.set(key('a'), 'kept here, too', 60_000);

    await server.stop();
    await until(() => redis.state() === 'away' && other.state() === 'away');
    expect(redis.circuitStates.read('openai|k|m')).toEqual(circuit);
    expect(await redis.circuitStates.claimProbe('openai|k|m', clock.now() + 1000)).toBe(true);
    expect((await limiter.admit('key', { requestsPerMinute: 3 })).allowed).toBe(false);
    expect(await redis.cache.get(key('a'))).toBe('kept here, too');
    await server.start();
    await until(() => redis.state() === 'up' && other.state() === 'up');

    expect((await limiter.admit('key', { requestsPerMinute: 3 })).allowed).toBe(false);
    expect(redis.circuitStates.read('openai|k|m')).toEqual(circuit);
    expect(other.circuitStates.read('openai|k|m')).toEqual(circuit);
    const third = await open({ clock });
    await until(() => third.circuitStates.read('openai|k|m') !== null);
    await redis.cache.set(key('b'), 'new', 60_000);
    expect(await other.cache.get(key('b'))).toBe('new');
  });

  it.each([
    ['once is asked nothing for a moment, which is not told as an absence', 60_000, [0, 1]],
    ['for longer is told to be away', 1, [0, 1, 0, 1]],
  ] as const)('that answers late %s', async (_, blinkMs, told) => {
    const gauges: number[] = [];
    const redis = createRedisConnection({
      settings: { url: server.url, prefix: 'test:', timeoutMs: TIMEOUT_MS },
      clock: systemClock,
      logger: silentLogger,
      meter: {
        ...silentMeter,
        gauge: (name, __, value) => void gauges.push(name === 'chatsphere_redis_up' ? value : -1),
      },
      blinkMs,
    });
    await redis.start();
    await until(() => redis.state() === 'up');
    server.pause();
    const asked = await redis.ask(
      'ping',
      (client) => client.ping(),
      () => 'late',
    );
    expect([asked, redis.state()]).toEqual(['late', 'away']);
    if (blinkMs === 1) await until(() => gauges.length === 3);
    server.resume();
    await until(() => redis.state() === 'up');
    expect(gauges).toEqual(told);
    await redis.stop();
  });

  it('tells who listens that there was a gap, and brings messages again', async () => {
    const [here, there] = await Promise.all([open(), open()]);
    const heard: string[] = [];
    const listener = { message: (text: string) => void heard.push(text), gap: () => void heard.push('gap') };
    await there.bus.subscribe('topic', listener).ready;
    here.bus.publish('topic', 'one');
    await until(() => heard.length === 1);
    await server.stop();
    await until(() => here.state() === 'away' && there.state() === 'away');
    here.bus.publish('topic', 'lost');
    await server.start();
    await until(() => heard.includes('gap'));
    await until(() => {
      here.bus.publish('topic', 'two');
      return heard.includes('two');
    });
    expect(heard[0]).toBe('one');
    expect(heard).not.toContain('lost');
  });

  it('is waited for a moment at the start and joined later', async () => {
    await server.stop();
    const redis = await open();
    expect(redis.state()).toBe('away');
    await request(redis, 1);
    await server.start();
    await until(() => redis.state() === 'up');
  });

  it('that has no memory left refuses, and each process goes on with its own', async () => {
    const redis = await open();
    const admin = new Redis(server.url);
    await admin.config('SET', 'maxmemory', '1');
    await request(redis, 1);
    expect(redis.state()).toBe('up');
    await admin.config('SET', 'maxmemory', '0');
    await redis.cache.set(key('a'), 'kept', 60_000);
    expect(await admin.get(`test:${key('a')}`)).toBe('kept');
    admin.disconnect();
  });

  describe('asked by name', () => {
    it('tells its version, or why it is away', async () => {
      const settings = { prefix: 'x:', timeoutMs: 50 };
      expect(await pingRedis({ url: server.url, ...settings })).toMatchObject({
        isThere: true,
        version: expect.stringMatching(/^\d+\./),
      });
      await server.stop();
      const gone = await pingRedis({ url: server.url, ...settings });
      expect(gone).toMatchObject({ isThere: false });
      expect(JSON.stringify(gone)).toContain('ECONNREFUSED');
    });
  });
});

const TICK_MS = 5;

/** Counts the time in which this process was given no processor, for which Redis is not to blame. */
function watchStalls() {
  let stalledMs = 0;
  let tickedAt = performance.now();
  const sinceTick = (): number => Math.max(0, performance.now() - tickedAt - TICK_MS);
  const timer = setInterval(() => {
    stalledMs += sinceTick();
    tickedAt = performance.now();
  }, TICK_MS);
  return { total: () => stalledMs + sinceTick(), stop: () => clearInterval(timer) };
}
