import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import { describeWithRedis, startTestRedis, type TestRedis } from '../adapters/redis/redis-server.contract.ts';
import type { JobEvents } from '../jobs/index.ts';
import { silentLogger, silentMeter, systemClock } from '../kernel/index.ts';
import type { Job } from '../store/index.ts';
import { composeCelery } from './compose-celery.ts';

const SLOW_MS = 60_000;
const EVENTS = 'events';

describeWithRedis('news of ended trainings for workers of Celery', () => {
  let redis: TestRedis;
  beforeAll(async () => {
    redis = await startTestRedis();
  });
  afterAll(() => redis?.stop());

  async function open(eventsResendMs: number | null) {
    const celery = composeCelery({
      celery: {
        ...{ brokerUrl: redis.url, resultBackend: redis.url, resultExpireSeconds: 60, queue: 'tasks', apiKey: null },
        ...{ concurrency: 1, eventsQueue: EVENTS, eventsResendMs },
      },
      store: {
        forTenant: () => {
          throw new Error('News need no store.');
        },
      },
      ...{ clock: systemClock, logger: silentLogger, meter: silentMeter },
    });
    await celery.start();
    onTestFinished(() => celery.stop());
    const direct = new Redis(redis.url);
    onTestFinished(() => direct.disconnect());
    const events = celery.withNews({ publish: () => {} } as unknown as JobEvents);
    const taken = async (): Promise<{ readonly id: string; readonly ignore_result: boolean }> => {
      for (;;) {
        const text = await direct.rpop(EVENTS);
        if (text !== null) return (JSON.parse(text) as { headers: { id: string; ignore_result: boolean } }).headers;
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    };
    return { celery, events, taken };
  }

  it('are sent again when a worker has lost them, until it says that it heard them', { timeout: SLOW_MS }, async () => {
    const { celery, events, taken } = await open(1_000);
    events.publish(endedJob('job_1'));
    const first = await taken();
    expect(first).toMatchObject({ id: 'job_1-5', ignore_result: false });
    expect(await taken()).toEqual(first);
    const heard = { task_id: first.id, status: 'SUCCESS' as const, result: null, traceback: null };
    const address = { id: first.id, replyTo: null, correlationId: null };
    await celery.results.store(address, { ...heard, children: [], date_done: null });
    events.publish(endedJob('job_2'));
    expect((await taken()).id).toBe('job_2-5');
    expect((await taken()).id).toBe('job_2-5');
  });

  it('ask for no result unless that is wanted', { timeout: SLOW_MS }, async () => {
    const { events, taken } = await open(null);
    events.publish(endedJob('job_3'));
    expect(await taken()).toMatchObject({ id: 'job_3-5', ignore_result: true });
  });
});

function endedJob(id: string): Job {
  const ended = { kind: 'train', state: 'succeeded', lastError: null, finishedAt: 5 };
  return { id, tenantId: 'tnt_1', botId: 'bot_1', sourceId: 'src_1', ...ended } as unknown as Job;
}
