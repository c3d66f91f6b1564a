import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll } from 'vitest';
import { describeByteCacheContract } from '../../cache/byte-cache.contract.ts';
import { describeCacheContract, describeLeasesContract } from '../../cache/cache.contract.ts';
import { describeStreamBuffer } from '../../chat/streams/stream-buffer.contract.ts';
import { createManualClock, systemClock } from '../../kernel/index.ts';
import { describeCircuitStatesContract } from '../../resilience/circuit-states.contract.ts';
import { describeMessageBus } from '../../resilience/message-bus.contract.ts';
import { describeSharedLimits } from '../../security/shared-limits.contract.ts';
import type { OpenedRedis } from './index.ts';
import { openForTest, until } from './redis-parts.contract.ts';
import { describeWithRedis, startTestRedis, type TestRedis } from './redis-server.contract.ts';

const passRealTime = (milliseconds: number) => systemClock.sleep(milliseconds);

describeWithRedis('the contracts of all ports on Redis', () => {
  let server: TestRedis;
  const opened: OpenedRedis[] = [];
  beforeAll(async () => {
    server = await startTestRedis();
  });
  afterAll(async () => {
    await Promise.all(opened.map((redis) => redis.stop()));
    await server.stop();
  });

  async function open(options: Omit<Parameters<typeof openForTest>[0], 'url'> = {}): Promise<OpenedRedis> {
    const redis = await openForTest({ url: server.url, ...options });
    opened.push(redis);
    return redis;
  }
  async function openTwo(options: Parameters<typeof open>[0] = {}) {
    const settings = { prefix: `${randomUUID()}:`, ...options };
    const [here, there] = await Promise.all([open(settings), open(settings)]);
    const stop = async () => {
      await Promise.all([here.stop(), there.stop()]);
    };
    return { here, there, stop };
  }

  describeCacheContract('redis', async () => ({ cache: (await open()).cache, pass: passRealTime }));
  describeLeasesContract('redis', async () => ({ leases: (await open()).leases, pass: passRealTime }));

  describeByteCacheContract('redis', async () => ({ cache: (await open()).bytes, pass: passRealTime }));
  describeByteCacheContract('redis, in another process', async () => {
    const { here, there } = await openTwo();
    return { cache: { set: here.bytes.set, get: there.bytes.get }, pass: passRealTime };
  });

  describeMessageBus('redis', async () => {
    const { here, there, stop } = await openTwo();
    return { here: here.bus, there: there.bus, stop };
  });

  describeCircuitStatesContract('redis', async () => {
    const clock = createManualClock();
    const { here, there, stop } = await openTwo({ clock });
    return {
      here: here.circuitStates,
      there: there.circuitStates,
      now: () => clock.now(),
      pass: (milliseconds) => clock.advance(milliseconds),
      async settle() {
        await passMessage(here);
        await passMessage(there);
      },
      stop,
    };

    /** What was published before is known once a later message has come back to both. */
    async function passMessage(from: OpenedRedis): Promise<void> {
      const mark = randomUUID();
      const seen = new Set<OpenedRedis>();
      const subscriptions = [here, there].map((to) =>
        to.bus.subscribe('mark', { message: (text) => void (text === mark && seen.add(to)) }),
      );
      await Promise.all(subscriptions.map((subscription) => subscription.ready));
      from.bus.publish('mark', mark);
      await until(() => seen.size === 2);
      for (const subscription of subscriptions) subscription.close();
    }
  });

  describeStreamBuffer('redis, in the process that makes the streams', async (clock) => {
    const redis = await open({ clock });
    return { buffer: redis.streams, stop: () => redis.stop() };
  });

  describeStreamBuffer('redis, in another process', async (clock) => {
    const { here, there, stop } = await openTwo({ clock });
    return { buffer: { ...here.streams, find: (name) => there.streams.find(name) }, stop };
  });

  describeSharedLimits('redis', async (clock) => {
    const { here, there, stop } = await openTwo({ clock });
    return { here: here.limits, there: there.limits, stop };
  });
});
