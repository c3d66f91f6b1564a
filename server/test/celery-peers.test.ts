import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import {
  CeleryTaskError,
  type CeleryTaskHandler,
  createCeleryTransport,
  createTaskServer,
  type OpenedCelery,
  openCelery,
} from '../src/adapters/celery/index.ts';
import {
  describeWithRabbit,
  startTestRabbit,
  type TestRabbit,
} from '../src/adapters/celery/rabbitmq-server.contract.ts';
import { describeWithRedis, startTestRedis, type TestRedis } from '../src/adapters/redis/redis-server.contract.ts';
import { describeJobTransportContract } from '../src/jobs/job-transport.contract.ts';
import { AppError, type Clock, type JsonValue, silentLogger, silentMeter, systemClock } from '../src/kernel/index.ts';
import {
  describeWithCelery,
  type PythonAddress,
  type PythonClient,
  type PythonWorker,
  startPythonClient,
  startPythonWorker,
} from './python-celery.ts';

/** Brokers and Python take their time on a busy machine. */
const SLOW_MS = 240_000;
const CONSUMER = fileURLToPath(new URL('../../bench/lib/celery-consumer.mjs', import.meta.url));
const OURS = 'chatsphere-test';
const THEIRS = 'python-test';

function describePeers(address: () => PythonAddress): void {
  let celery: OpenedCelery;
  let python: PythonClient;
  let worker: PythonWorker;
  const stops: (() => Promise<void>)[] = [];

  const open = async (leaseMs = 2_000): Promise<OpenedCelery> => {
    const { broker: brokerUrl, backend: resultBackend } = address();
    const settings = { brokerUrl, resultBackend, resultExpireSeconds: 600 };
    const opened = openCelery({ settings, clock: systemClock, logger: silentLogger, leaseMs });
    await opened.start();
    return opened;
  };

  const serve = async (
    handlers: Readonly<Record<string, CeleryTaskHandler>>,
    by = celery,
  ): Promise<() => Promise<void>> => {
    const server = createTaskServer({
      ...{ broker: by.broker, results: by.results, queue: OURS, handlers: new Map(Object.entries(handlers)) },
      ...{ clock: systemClock, logger: silentLogger, meter: silentMeter, retryMs: 20 },
    });
    await server.start();
    const stop = () => server.stop();
    stops.push(stop);
    return stop;
  };

  beforeAll(async () => {
    [celery, python, worker] = await Promise.all([
      open(),
      startPythonClient(address()),
      startPythonWorker(THEIRS, address()),
    ]);
  }, SLOW_MS);
  afterEach(() => Promise.all(stops.splice(0).map((stop) => stop())));
  afterAll(async () => {
    await Promise.all([python?.stop(), worker?.stop()]);
    await celery?.stop();
  });

  const options = { queue: OURS };

  describe('tasks from Python', () => {
    it('are done here, with their arguments, and give their value', { timeout: SLOW_MS }, async () => {
      await serve({ sum: async ({ args, kwargs }) => ({ args: [...args], kwargs, said: 'Grüße 🐘' }) });
      const result = await python.call({ name: 'sum', args: [1, ['two']], kwargs: { three: null }, options });
      expect(result).toMatchObject({
        state: 'SUCCESS',
        value: { args: [1, ['two']], kwargs: { three: null }, said: 'Grüße 🐘' },
      });
    });

    it('raise what failed here', { timeout: SLOW_MS }, async () => {
      await serve({
        missing: async () => {
          throw new AppError('bot_not_found', 'There is no such bot.');
        },
        custom: async () => {
          throw new CeleryTaskError('made up', { type: 'Special', module: 'nobody.has.this' });
        },
      });
      const missing = await python.call({ name: 'missing', options });
      expect(missing).toMatchObject({ state: 'FAILURE', error: 'LookupError', module: 'builtins' });
      expect(missing.args).toEqual(['bot_not_found: There is no such bot.']);
      expect(missing.traceback).toContain('LookupError: bot_not_found');
      expect(missing.traceback).not.toContain('.ts');
      expect(await python.call({ name: 'custom', options })).toMatchObject({ error: 'Special', args: ['made up'] });
      expect(await python.call({ name: 'nothing', options })).toMatchObject({
        error: 'NotRegistered',
        args: ['nothing'],
      });
    });

    it('are not done before their time, nor after it, and hold nobody up meanwhile', { timeout: SLOW_MS }, async () => {
      const begun = new Map<string, number>();
      await serve({
        at: async ({ id }) => {
          begun.set(id, Date.now());
          return null;
        },
      });
      const sentAt = Date.now();
      const later = await python.send({ name: 'at', options: { ...options, countdown: 2 } });
      const never = await python.send({ name: 'at', options: { ...options, countdown: 1, expires: 0.5 } });
      const now = await python.send({ name: 'at', options });
      await python.get(now);
      expect(begun.has(later)).toBe(false);
      expect(await python.get(later)).toMatchObject({ state: 'SUCCESS' });
      expect((begun.get(later) ?? 0) - sentAt).toBeGreaterThanOrEqual(2_000);
      // RabbitMQ throws away by itself what has expired in the queue; what was taken is refused here.
      if (address().broker.startsWith('redis')) {
        expect(await python.get(never)).toMatchObject({ error: 'TaskRevokedError', args: ['expired'] });
      }
      expect(begun.has(never)).toBe(false);
    });

    it('are tried again when that may help, and counted', { timeout: SLOW_MS }, async () => {
      const retries: number[] = [];
      await serve({
        flaky: async (task) => {
          retries.push(task.retries);
          if (task.retries < 2) throw new AppError('database_unavailable', 'Not now.', { retryable: true });
          return task.retries;
        },
        hopeless: async () => {
          throw new AppError('database_unavailable', 'Never.', { retryable: true });
        },
      });
      expect(await python.call({ name: 'flaky', options })).toMatchObject({ state: 'SUCCESS', value: 2 });
      expect(retries).toEqual([0, 1, 2]);
      expect(await python.call({ name: 'hopeless', options })).toMatchObject({ error: 'ConnectionError' });
    });

    it('call what is linked and chained to them', { timeout: SLOW_MS }, async () => {
      const seen: JsonValue[][] = [];
      let all = (): void => {};
      const called = new Promise<void>((resolve) => {
        all = resolve;
      });
      const note: CeleryTaskHandler = async ({ args, name }) => {
        seen.push([name, ...args]);
        if (seen.length === 2) all();
        return null;
      };
      await serve({
        double: async ({ args: [value] }) => Number(value) * 2,
        fails: async () => {
          throw new AppError('invalid_request', 'No.');
        },
        linked: note,
        failed: note,
      });
      const id = await python.chain(
        { name: 'double', args: [2], options },
        { name: 'py.add', args: [1], options: { queue: THEIRS } },
        { name: 'double', options },
      );
      expect(await python.get(id)).toMatchObject({ state: 'SUCCESS', value: 10 });
      const link = { name: 'linked', options };
      await python.call({ name: 'double', args: [4], options: { ...options, link } });
      const failing = await python.send({
        name: 'fails',
        options: { ...options, link_error: { name: 'failed', options } },
      });
      expect(await python.get(failing)).toMatchObject({ error: 'ValueError' });
      await called;
      expect(seen).toEqual([
        ['linked', 8],
        ['failed', failing],
      ]);
    });

    it('that are compressed are read, and those that end too late are ended', { timeout: SLOW_MS }, async () => {
      await serve({
        echo: async ({ args: [text] }) => String(text).length,
        endless: (_task, signal) =>
          new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
      });
      const args = ['a'.repeat(100_000)];
      expect(await python.call({ name: 'echo', args, options: { ...options, compression: 'gzip' } })).toMatchObject({
        value: 100_000,
      });
      expect(await python.call({ name: 'endless', options: { ...options, time_limit: 1 } })).toMatchObject({
        error: 'TimeLimitExceeded',
      });
      expect(await python.call({ name: 'echo', args, options: { ...options, serializer: 'pickle' } })).toMatchObject({
        error: 'NotImplementedError',
      });
    });

    it('that were taken by a process that stops or dies are done by another', { timeout: SLOW_MS }, async () => {
      const doomed = await open(1_000);
      const taken: string[] = [];
      let heard = (): void => {};
      const bothTaken = new Promise<void>((resolve) => {
        heard = () => taken.length === 2 && resolve();
      });
      const hold: CeleryTaskHandler = (task, signal) => {
        taken.push(task.id);
        heard();
        return new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
      };
      const stop = await serve({ hold }, doomed);
      const ids = [await python.send({ name: 'hold', options }), await python.send({ name: 'hold', options })];
      await bothTaken;
      await stop();
      await doomed.stop();
      await serve({ hold: async ({ id }) => id });
      for (const id of ids) expect(await python.get(id)).toMatchObject({ state: 'SUCCESS', value: id });
    });
  });

  describe('tasks from Python to a process that is killed again and again', () => {
    it('are all done', { timeout: SLOW_MS }, async () => {
      const ids: string[] = [];
      for (let index = 0; index < 60; index += 1) {
        ids.push(await python.send({ name: 'bench.square', args: [index], options: { queue: 'mortal' } }));
      }
      let hasEnded = false;
      let kills = 0;
      const { broker, backend } = address();
      const env = { PATH: process.env['PATH'], BROKER: broker, BACKEND: backend, QUEUE: 'mortal', DIE_AFTER: '20' };
      let child: ChildProcess | null = null;
      const end = async (): Promise<void> => {
        hasEnded = true;
        child?.kill('SIGKILL');
        await dying;
      };
      onTestFinished(() => end());
      const dying = (async () => {
        while (!hasEnded) {
          child = spawn(process.execPath, [CONSUMER], { env, stdio: 'ignore' });
          await once(child, 'exit');
          kills += 1;
        }
      })();
      for (const [index, id] of ids.entries()) {
        expect(await python.get(id)).toMatchObject({ state: 'SUCCESS', value: index * index });
      }
      await end();
      expect(kills).toBeGreaterThan(2);
    });
  });

  describe('tasks for Python', () => {
    it('are done there, with their results and failures', { timeout: SLOW_MS }, async () => {
      const { client } = celery;
      const send = { queue: THEIRS };
      const sum = await client.sendTask('py.add', { ...send, args: [2, 3], kwargs: { scale: 10 } });
      expect(await sum.result()).toBe(50);
      const about = await client.sendTask('py.about', { ...send, args: [] });
      expect(await about.result()).toMatchObject({
        ...{ id: about.id, root_id: about.id, correlation_id: about.id, argsrepr: '[]' },
        origin: expect.stringContaining('@'),
      });
      const failing = await client.sendTask('py.fail', { ...send, args: ['wrong'] });
      await expect(failing.result()).rejects.toMatchObject({
        ...{ type: 'ValueError', module: 'builtins', message: 'wrong, 42' },
        traceback: expect.stringContaining('tasks.py'),
      });
      const flaky = await client.sendTask('py.flaky', send);
      expect(await flaky.result()).toBe(2);
    });

    it('are not done before their time, and waiting for them can be given up', { timeout: SLOW_MS }, async () => {
      const sentAt = Date.now();
      const sent = await celery.client.sendTask('py.now', { queue: THEIRS, countdownMs: 1_500 });
      await expect(sent.result(AbortSignal.timeout(50))).rejects.toMatchObject({ name: 'TimeoutError' });
      expect(Number(await sent.result()) * 1_000 - sentAt).toBeGreaterThanOrEqual(1_500);
      const expired = { queue: THEIRS, expires: Date.now() - 1_000 };
      const late = await celery.client.sendTask('py.now', expired);
      await expect(late.result()).rejects.toMatchObject({ type: 'TaskRevokedError' });
    });
  });

  let made = 0;
  describeJobTransportContract('celery', async () => {
    const parts = { broker: celery.broker, clock: systemClock, meter: silentMeter, timeoutMs: 10_000 };
    return createCeleryTransport({ ...parts, queue: `jobs-${++made}` });
  });
}

/** A real worker that has lost its message: kombu pops it, and writes down only then that it was taken. */
function describeLostTasks(redis: () => TestRedis): void {
  describe('tasks that a worker lost', () => {
    const address = (): PythonAddress => ({ broker: `${redis().url}/4`, backend: `${redis().url}/4` });
    let direct: Redis;
    let celery: OpenedCelery;
    let folder: string;
    /** Looks for lost tasks: before each the process sleeps. */
    let looks = 0;
    const clock: Clock = {
      ...systemClock,
      sleep(milliseconds, signal) {
        looks += 1;
        return systemClock.sleep(milliseconds, signal);
      },
    };
    beforeAll(async () => {
      folder = mkdtempSync(join(tmpdir(), 'chatsphere-lost-'));
      direct = new Redis(address().broker);
      const { broker: brokerUrl, backend: resultBackend } = address();
      const settings = { brokerUrl, resultBackend, resultExpireSeconds: 600 };
      celery = openCelery({ settings, clock, logger: silentLogger, silenceMs: 400 });
      await celery.start();
    });
    afterAll(async () => {
      await celery?.stop();
      direct?.disconnect();
      rmSync(folder, { recursive: true, force: true });
    });

    it('are done nevertheless, by the next', { timeout: SLOW_MS }, async () => {
      const send = { queue: 'lost', args: [2, 3] };
      const sent = await celery.client.sendTask('py.add', send);
      const urgent = await celery.client.sendTask('py.add', { ...send, priority: 6 });
      for (const { id } of [sent, urgent])
        expect(await celery.broker.tasksIn('lost', new Set([id]))).toEqual(new Set([id]));
      const lists = await direct.keys('lost*');
      expect(lists).toHaveLength(2);
      for (const list of lists) await direct.rpop(list);
      expect(await celery.broker.tasksIn('lost', new Set([sent.id]))).toEqual(new Set());
      const worker = await startPythonWorker('lost', address());
      onTestFinished(() => worker.stop());
      expect(await Promise.all([sent.result(), urgent.result()])).toEqual([5, 5]);
    });

    it('are not sent again while they wait or a worker is at them', { timeout: SLOW_MS }, async () => {
      const path = join(folder, 'go');
      const sent = await celery.client.sendTask('py.wait_for', { queue: 'slow', args: [path] });
      const ids = new Set([sent.id]);
      const result = sent.result();
      const worker = await startPythonWorker('slow', address());
      onTestFinished(() => worker.stop());
      await until(() => existsSync(`${path}.begun`));
      const before = looks;
      // Twice as many as a lost task is missed before it is sent again.
      await until(() => looks > before + 10);
      expect(await celery.broker.tasksIn('slow', ids)).toEqual(ids);
      expect(await direct.llen('slow')).toBe(0);
      writeFileSync(path, '');
      expect(await result).toBe(1);
      await until(async () => (await celery.broker.tasksIn('slow', ids))?.size === 0);
    });

    it('are given up when they are lost each time', { timeout: SLOW_MS }, async () => {
      const sent = await celery.client.sendTask('py.add', { queue: 'never', args: [1, 1], attempts: 2 });
      const failure = sent.result().then(
        () => null,
        (error: unknown) => error,
      );
      for (let losses = 0; losses < 2; losses += 1) await until(async () => (await direct.rpop('never')) !== null);
      expect(await failure).toBeInstanceOf(CeleryTaskError);
      expect(await failure).toMatchObject({
        type: 'WorkerLostError',
        message: expect.stringContaining('was sent 2 times'),
      });
    });
  });
}

async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isSo())) await new Promise((resolve) => setTimeout(resolve, 5));
}

describeWithCelery('Celery over Redis', () => {
  describeWithRedis('with results in Redis', () => {
    let redis: TestRedis;
    beforeAll(async () => {
      redis = await startTestRedis();
    });
    afterAll(() => redis?.stop());
    describePeers(() => ({ broker: `${redis.url}/0`, backend: `${redis.url}/1` }));
    describeLostTasks(() => redis);
  });
});

describeWithCelery('Celery over RabbitMQ', () => {
  describeWithRabbit('with results as messages', () => {
    let rabbit: TestRabbit;
    beforeAll(async () => {
      rabbit = await startTestRabbit();
    }, SLOW_MS);
    afterAll(() => rabbit?.stop());
    describePeers(() => ({ broker: rabbit.url, backend: 'rpc://' }));
    it('gives a task to another worker when its own is killed', { timeout: SLOW_MS }, async () => {
      const folder = mkdtempSync(join(tmpdir(), 'chatsphere-killed-'));
      onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
      const settings = { brokerUrl: rabbit.url, resultBackend: 'rpc://', resultExpireSeconds: 600 };
      const celery = openCelery({ settings, clock: systemClock, logger: silentLogger });
      await celery.start();
      onTestFinished(() => celery.stop());
      const address = { broker: rabbit.url, backend: 'rpc://' };
      const doomed = await startPythonWorker('killed', address);
      const path = join(folder, 'go');
      const sent = await celery.client.sendTask('py.wait_for', { queue: 'killed', args: [path] });
      await until(() => existsSync(`${path}.begun`));
      await doomed.kill();
      writeFileSync(path, '');
      const worker = await startPythonWorker('killed', address);
      onTestFinished(() => worker.stop());
      expect(await sent.result()).toBe(2);
    });
  });
});
