import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  describeWithRabbit,
  startTestRabbit,
  type TestRabbit,
} from '../src/adapters/celery/rabbitmq-server.contract.ts';
import { describeWithRedis, startTestRedis, type TestRedis } from '../src/adapters/redis/redis-server.contract.ts';
import { type BuiltServer, callServer, startBuiltServer } from './built-server.ts';
import {
  describeWithCelery,
  type PythonAddress,
  type PythonClient,
  type PythonWorker,
  runPython,
  startPythonClient,
  startPythonSample,
  startPythonWorker,
} from './python-celery.ts';

/** Brokers, Python and a training take their time on a busy machine. */
const SLOW_MS = 240_000;
const QUEUE = 'chatsphere';
const EVENTS = 'bot-events';

function describeServer(address: () => PythonAddress, queue: 'celery' | 'memory'): void {
  let server: BuiltServer;
  let dataFolder: string;
  let python: PythonClient;
  let worker: PythonWorker;
  let newsFile: string;
  let key: string;
  let otherKey: string;
  const stopped: Promise<unknown>[] = [];

  const start = (extra: Readonly<Record<string, string>> = {}): Promise<BuiltServer> =>
    startBuiltServer({
      dataFolder,
      env: {
        QUEUE: queue,
        CELERY_BROKER_URL: address().broker,
        CELERY_RESULT_BACKEND: address().backend,
        CELERY_EVENTS_QUEUE: EVENTS,
        EMBEDDING_FOLLOWER: 'off',
        LOG_LEVEL: 'silent',
        ...extra,
      },
    });

  const keyFor = async (bot: string): Promise<string> => {
    const scopes = ['sources:read', 'sources:write', 'search', 'chat'];
    const { body } = await callServer(server, { path: '/v1/api_keys', json: { name: bot, scopes, bots: [bot] } });
    return String(body['secret']);
  };

  beforeAll(async () => {
    dataFolder = mkdtempSync(join(tmpdir(), 'chatsphere-celery-'));
    newsFile = join(dataFolder, 'news');
    server = await start();
    for (const slug of ['zoo', 'museum']) await callServer(server, { path: '/v1/bots', json: { name: slug, slug } });
    const idOf = async (slug: string): Promise<string> =>
      String((await callServer(server, { path: `/v1/bots/${slug}` })).body['id']);
    [key, otherKey] = [await keyFor(await idOf('zoo')), await keyFor(await idOf('museum'))];
    [python, worker] = await Promise.all([
      startPythonClient(address()),
      startPythonWorker(EVENTS, { ...address(), newsFile }),
    ]);
  }, SLOW_MS);
  afterAll(async () => {
    await Promise.all([python?.stop(), worker?.stop(), server?.stop(), ...stopped]);
    rmSync(dataFolder, { recursive: true, force: true });
  }, SLOW_MS);

  const options = () => ({ queue: QUEUE, headers: { chatsphere_key: key } });
  const train = 'chatsphere.train';

  it('trains for Python, and answers it', { timeout: SLOW_MS }, async () => {
    const kwargs = { bot: 'zoo', text: 'The zoo opens at nine in the morning. Tickets cost 12 euros.', title: 'Hours' };
    const result = await python.call({ name: train, kwargs, options: options() });
    expect(result).toMatchObject({
      state: 'SUCCESS',
      value: { state: 'ready', title: 'Hours', counts: { documents: 1, chunks: 1 } },
    });
    const { source_id: source, job_id: job } = result.value as Record<string, string>;
    expect([source, job]).toEqual([expect.stringMatching(/^src_/), expect.stringMatching(/^job_/)]);
    const ask = { bot: 'zoo', question: 'What do tickets cost?' };
    const asked = await python.call({ name: 'chatsphere.ask', kwargs: ask, options: options() });
    expect(asked).toMatchObject({ state: 'SUCCESS', value: { answer: expect.stringContaining('12 euros') } });
    const search = { bot: 'zoo', query: 'opening hours', max_num_results: 1 };
    const found = await python.call({ name: 'chatsphere.search', kwargs: search, options: options() });
    expect(found).toMatchObject({ value: [{ source_id: source }] });

    // A worker in Python was told of the end of the training.
    while (!readNews().includes(`${job} succeeded`)) await new Promise((resolve) => setTimeout(resolve, 20));
    const gone = { name: 'chatsphere.delete_source', kwargs: { bot: 'zoo', source }, options: options() };
    expect(await python.call(gone)).toMatchObject({ value: { source_id: source, deleted: true } });
    expect(await python.call(gone)).toMatchObject({ value: { deleted: false } });
  });

  function readNews(): string {
    try {
      return readFileSync(newsFile, 'utf8');
    } catch {
      return '';
    }
  }

  it('lets keys say what a task may do, and nobody without one', { timeout: SLOW_MS }, async () => {
    const kwargs = { bot: 'zoo', text: 'Secret.' };
    const asked = async (headers: Readonly<Record<string, string>>): Promise<readonly unknown[]> => {
      const { error, args } = await python.call({ name: train, kwargs, options: { queue: QUEUE, headers } });
      return [error, String(args?.[0]).split(':')[0]];
    };
    expect(await asked({})).toEqual(['PermissionError', 'missing_api_key']);
    expect(await asked({ chatsphere_key: 'cs_live_wrong' })).toEqual(['PermissionError', 'invalid_api_key']);
    // Another's bot is as one that does not exist.
    expect(await asked({ chatsphere_key: otherKey })).toEqual(['LookupError', 'bot_not_found']);
    const wrong = { name: train, kwargs: { bot: 'zoo', text: 'Text.', colour: 'red' }, options: options() };
    expect(await python.call(wrong)).toMatchObject({ error: 'ValueError' });
    expect(await python.call({ ...wrong, kwargs: { bot: 'zoo' } })).toMatchObject({ error: 'ValueError' });
  });

  it('says why a training came to nothing', { timeout: SLOW_MS }, async () => {
    const kwargs = { bot: 'zoo', url: 'http://127.0.0.1:9/private' };
    const { state, error, args } = await python.call({ name: train, kwargs, options: options() });
    expect([state, error]).toEqual(['FAILURE', 'ValueError']);
    expect(args?.[0]).toMatch(/^url_not_allowed: /);
  });

  it('does what the samples of the documentation say', { timeout: SLOW_MS }, async () => {
    const docs = readFileSync(new URL('../../docs/queues.md', import.meta.url), 'utf8');
    const [asking = '', working = ''] = [...docs.matchAll(/```python\n(.*?)```/gs)].map(([, code = '']) =>
      code
        .replaceAll(/backend="[^"]*"/g, `backend="${address().backend}"`)
        .replaceAll(/broker="[^"]*"/g, `broker="${address().broker}"`)
        .replaceAll('cs_live_...', key),
    );
    const output = await runPython(asking);
    expect(output).toMatch(/^ready src_\w+ 1\n.*nine in the morning.*\nmissing_api_key: /);
    const sample = await startPythonSample(working, 'chatsphere-events');
    const news = { job_id: 'job_1', state: 'failed', tenant_id: 't', bot_id: 'b', source_id: 's', error: null };
    const kwargs = { ...news, finished_at: 1 };
    await python.send({ name: 'chatsphere.job_ended', kwargs, options: { queue: 'chatsphere-events' } });
    await sample.said('job_1 failed None');
    await sample.stop();
  });

  it('trains once, however often the task comes, also when the server is killed', { timeout: SLOW_MS }, async () => {
    const text = Array.from({ length: 400 }, (_, line) => `Animal ${line} lives in house ${line % 40}.`).join('\n\n');
    const name = train;
    const ids = ['task-one', 'task-two', 'task-three'];
    for (const id of ids) {
      const kwargs = { bot: 'zoo', text: `${id}\n\n${text}`, title: id };
      await python.send({ name, kwargs, options: { ...options(), task_id: id } });
    }
    const kwargs = { bot: 'zoo', text: `task-one\n\n${text}`, title: 'task-one' };
    await python.send({ name, kwargs, options: { ...options(), task_id: 'task-one' } });
    const has = async (): Promise<unknown[]> => {
      const { body } = await callServer(server, { path: '/v1/bots/zoo/sources?limit=100' });
      return (body['data'] as Record<string, unknown>[]).filter(({ title }) => ids.includes(String(title)));
    };
    while ((await has()).length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    await server.stop('SIGKILL');
    server = await start();
    for (const id of ids) {
      const result = await python.get(id, 200);
      expect(result, JSON.stringify(result)).toMatchObject({ state: 'SUCCESS', value: { state: 'ready', title: id } });
    }
    expect((await has()).length).toBe(3);
  });
}

describeWithCelery('a server with Celery over Redis', () => {
  describeWithRedis('that announces jobs through it', () => {
    let redis: TestRedis;
    beforeAll(async () => {
      redis = await startTestRedis();
    });
    afterAll(() => redis?.stop());
    describeServer(() => ({ broker: `${redis.url}/2`, backend: `${redis.url}/3` }), 'celery');
  });
});

describeWithCelery('a server with Celery over RabbitMQ', () => {
  describeWithRabbit('with results as messages', () => {
    let rabbit: TestRabbit;
    beforeAll(async () => {
      rabbit = await startTestRabbit();
    }, SLOW_MS);
    afterAll(() => rabbit?.stop());
    describe('that announces jobs through it', () => {
      describeServer(() => ({ broker: rabbit.url, backend: 'rpc://' }), 'celery');
    });
  });
});
