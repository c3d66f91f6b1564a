import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import type { JobTransport } from '../../jobs/index.ts';
import { describeJobTransportContract } from '../../jobs/job-transport.contract.ts';
import { type Meter, silentLogger, silentMeter } from '../../kernel/index.ts';
import { describeWithRedis, startTestRedis, type TestRedis } from '../redis/redis-server.contract.ts';
import { type BullMqQueue, createBullMqTransport, createQueueBoard, openBullMq } from './index.ts';

/** Redis goes and comes, on a machine that may be busy. */
const SLOW_MS = 60_000;

interface Opened {
  readonly queue: BullMqQueue;
  readonly transport: JobTransport;
  readonly outcomes: string[];
}

describeWithRedis('bullmq', () => {
  let redis: TestRedis;
  let made = 0;
  const opened: JobTransport[] = [];
  beforeAll(async () => {
    redis = await startTestRedis();
  });
  afterAll(() => redis?.stop());
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((transport) => transport.stop()));
  });

  function open({ prefix = `t${++made}:`, timeoutMs = 5_000, oneForMs = 60_000 } = {}): Opened {
    const outcomes: string[] = [];
    const meter: Meter = {
      ...silentMeter,
      count: (_name, labels) => void outcomes.push(labels['outcome'] ?? ''),
    };
    const settings = { url: redis.url, prefix, timeoutMs };
    const queue = openBullMq({ settings, logger: silentLogger, meter, measureMs: 200, oneForMs });
    const transport = createBullMqTransport({ queue, meter });
    opened.push(transport);
    return { queue, transport, outcomes };
  }

  describeJobTransportContract('bullmq', async () => open().transport);

  describe('bullmq transport', () => {
    it('gives an announcement to one process, and news of it to all', async () => {
      const prefix = 'pair:';
      const [first, second] = [open({ prefix }), open({ prefix })];
      const taken: string[] = [];
      const news = { first: new Set<string>(), second: new Set<string>() };
      await Promise.all([first.transport.start(), second.transport.start()]);
      first.transport.subscribe(
        (id) => void taken.push(id),
        (id) => void news.first.add(id),
      );
      second.transport.subscribe(
        (id) => void taken.push(id),
        (id) => void news.second.add(id),
      );
      const ids = Array.from({ length: 50 }, (_, index) => `job_${index}`);
      // Whoever listens for news hears what comes from then on.
      for (let round = 0; news.first.size === 0 || news.second.size === 0; round += 1) {
        await first.transport.announce(`before_${round}`);
        await new Promise((resolve) => setImmediate(resolve));
      }
      await Promise.all(ids.map((id) => first.transport.announce(id)));
      const hasAll = (seen: Set<string>): boolean => ids.every((id) => seen.has(id));
      await until(() => ids.every((id) => taken.includes(id)) && hasAll(news.first) && hasAll(news.second));
      expect(taken.filter((id) => id.startsWith('job_')).sort()).toEqual([...ids].sort());
    });

    it('leaves announcements to processes that have room, and to those that run jobs', async () => {
      const prefix = 'room:';
      const [full, free, serving] = [open({ prefix }), open({ prefix }), open({ prefix })];
      await Promise.all([full, free, serving].map(({ transport }) => transport.start()));
      const held: string[] = [];
      const taken: string[] = [];
      full.transport.subscribe((id) => {
        held.push(id);
        return new Promise(() => {});
      });
      await serving.transport.announce('job_first');
      await until(() => held.length > 0);
      free.transport.subscribe((id) => void taken.push(id));
      const ids = Array.from({ length: 20 }, (_, index) => `job_${index}`);
      for (const id of ids) await serving.transport.announce(id);
      await until(() => taken.length + held.length >= 21);
      expect(held.length).toBeLessThanOrEqual(2);
      expect([...held, ...taken].sort()).toEqual(['job_first', ...ids].sort());
    });

    it('keeps one of several announcements of a job that wait, and bounded memory', async () => {
      const { queue, transport } = open();
      await transport.start();
      for (let time = 0; time < 5; time += 1) await transport.announce('job_1');
      expect(await queue.queue()?.getJobCounts('wait')).toEqual({ wait: 1 });
      const heard = new Set<string>();
      transport.subscribe((id) => void heard.add(id));
      for (let index = 0; index < 400; index += 1) await transport.announce(`job_${index}`);
      await until(() => heard.size === 400);
      await until(async () => (await queue.queue()?.getJobCounts('wait', 'active'))?.['wait'] === 0);
      expect((await queue.queue()?.getJobCounts('completed'))?.['completed']).toBeLessThanOrEqual(200);
    });

    it('announces a job again whose announcement was lost with the process that took it, or with Redis', async () => {
      const prefix = 'dead:';
      const dead = open({ prefix });
      await dead.transport.start();
      await dead.transport.announce('job_1');
      const keys = new Redis(redis.url);
      onTestFinished(() => keys.disconnect());
      // Taken off the list, and never heard of again.
      expect(await keys.lpop(`${prefix}@/bullmq:jobs:wait`)).toMatch(/^job_1~/);
      expect(await keys.pttl(`${prefix}@/bullmq:jobs:de:job_1`)).toBeGreaterThan(0);
      const { transport } = open({ prefix, oneForMs: 200 });
      await transport.start();
      await keys.pexpire(`${prefix}@/bullmq:jobs:de:job_1`, 200);
      const heard: string[] = [];
      transport.subscribe((id) => void heard.push(id));
      await until(async () => {
        await transport.announce('job_1');
        return heard.length > 0;
      });
    });

    it(
      'tells its own process when Redis is away, and goes on when it is back empty',
      async () => {
        const { transport, outcomes } = open({ timeoutMs: 200 });
        await transport.start();
        const heard = new Set<string>();
        transport.subscribe((id) => void heard.add(id));
        await transport.announce('job_up');
        await until(() => heard.has('job_up'));
        redis.pause();
        await transport.announce('job_slow');
        await until(() => heard.has('job_slow'));
        redis.resume();
        await redis.stop();
        await transport.announce('job_away');
        await until(() => heard.has('job_away'));
        expect(outcomes).toContain('local');
        await redis.start();
        for (let round = 0; outcomes.at(-1) !== 'sent'; round += 1) {
          await transport.announce(`job_back_${round}`);
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
        await transport.announce('job_again');
        await until(() => heard.has('job_again'));
      },
      SLOW_MS,
    );

    it('shows the queue, and nothing of other servers', async () => {
      const { queue, transport } = open();
      const board = createQueueBoard(queue, '/admin/queues');
      expect(await board.get('/')).toMatchObject({ status: 503 });
      await transport.start();
      await transport.announce('job_1');
      const page = await board.get('/');
      expect(page).toMatchObject({ status: 200, type: expect.stringContaining('text/html') });
      const html = page.body.toString();
      expect(html).toContain('ChatSphere queues');
      expect(html).not.toMatch(/(src|href)="https?:/);
      const script = /src="(static\/js\/[^"]+)"/.exec(html)?.[1];
      expect(await board.get(`/${script}`)).toMatchObject({ status: 200, type: expect.stringContaining('javascript') });
      const { body } = await board.get('/api/queues?activeQueue=jobs&status=waiting&page=1&jobsPerPage=10');
      const { queues } = JSON.parse(body.toString()) as { queues: { readOnlyMode: boolean; counts: unknown }[] };
      expect(queues).toMatchObject([{ name: 'jobs', readOnlyMode: true, counts: { waiting: 1 } }]);
      expect(await board.get('/nothing/here')).toMatchObject({ status: 404 });
      await board.stop();
    });
  });
});

async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isSo())) await new Promise((resolve) => setTimeout(resolve, 5));
}
