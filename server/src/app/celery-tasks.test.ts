import { describe, expect, it } from 'vitest';
import type { CeleryTask } from '../adapters/celery/index.ts';
import type { JsonObject } from '../kernel/index.ts';
import { createCeleryTasks } from './celery-tasks.ts';

const signal = new AbortController().signal;

function taskOf(kwargs: JsonObject): CeleryTask {
  const envelope = { headers: { chatsphere_key: 'cs_live_key' } };
  return { id: 'task-1', name: 'any', args: [], kwargs, envelope } as unknown as CeleryTask;
}

function setUp() {
  const paths: string[] = [];
  const http = {
    async inject({ url }: { readonly url: string }) {
      paths.push(new URL(url, 'http://server').pathname);
      const json = () => ({ id: 'src_1', data: [] });
      return { statusCode: 200, headers: { 'content-type': 'application/json' }, json };
    },
  };
  const tasks = createCeleryTasks({
    http: http as unknown as Parameters<typeof createCeleryTasks>[0]['http'],
    apiKey: null,
  });
  const run = (name: string, kwargs: JsonObject) => tasks.get(name)?.(taskOf(kwargs), signal);
  return { run, paths };
}

describe('names in tasks of Celery', () => {
  it.each([
    ['chatsphere.train', { bot: '..', text: 'a' }],
    ['chatsphere.train', { bot: '.', text: 'a' }],
    ['chatsphere.train', { bot: 'zoo', text: 'a', external_key: '..' }],
    ['chatsphere.train', { bot: '\ud800', text: 'a' }],
    ['chatsphere.search', { bot: '..', query: 'a' }],
    ['chatsphere.delete_source', { bot: '..', source: 'src_1' }],
    ['chatsphere.delete_source', { bot: 'zoo', source: '..' }],
    ['chatsphere.delete_source', { bot: '', source: 'src_1' }],
    ['chatsphere.delete_source', { bot: 7, source: 'src_1' }],
    ['chatsphere.ask', { question: 'a' }],
  ])('that would lead elsewhere are refused: %s %j', async (name, kwargs) => {
    const { run, paths } = setUp();
    await expect(run(name, kwargs)).rejects.toMatchObject({
      type: 'ValueError',
      message: expect.stringMatching(/^invalid_request: /),
    });
    expect(paths).toEqual([]);
  });

  it.each([
    ['chatsphere.ask', { bot: 'zoo', question: '' }, 'The task needs question='],
    ['chatsphere.train', { bot: 'zoo', text: 5 }, '`text` must be a string'],
    ['chatsphere.train', { bot: 'zoo' }, 'Give `text`, `url` or `items`'],
  ])('and values are refused in the words of the task: %s %j', async (name, kwargs, words) => {
    const { run, paths } = setUp();
    await expect(run(name, kwargs)).rejects.toThrow(words);
    expect(paths).toEqual([]);
  });

  it('stay one part of their path, whatever they hold', async () => {
    const { run, paths } = setUp();
    await run('chatsphere.delete_source', { bot: '../keys', source: 'a/../../b?c#d%2e%2e' });
    await run('chatsphere.train', { bot: 'zoo', text: 'a', external_key: '../x', wait: false });
    await run('chatsphere.search', { bot: '...', query: 'a' });
    expect(paths).toEqual([
      '/v1/bots/..%2Fkeys/sources/a%2F..%2F..%2Fb%3Fc%23d%252e%252e',
      '/v1/bots/zoo/sources/by-key/..%2Fx',
      '/v1/bots/.../search',
    ]);
  });
});
