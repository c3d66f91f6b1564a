import { PassThrough } from 'node:stream';
import { beforeEach, describe, expect, it } from 'vitest';
import { createManualClock } from '../../kernel/index.ts';
import type { ApiClient, Wire } from './api-client.ts';
import { EXIT } from './cli-error.ts';
import type { CommandContext } from './command.ts';
import { createTrainCommand } from './train-command.ts';

describe('train on web addresses', () => {
  const requests: { readonly request: string; readonly json: unknown }[] = [];
  let states: Wire[] = [];
  beforeEach(() => {
    requests.length = 0;
    states = [];
  });

  /** Answers with the states one after the other; the last stays. */
  const client: ApiClient = {
    url: 'http://host',
    async request(method, path, { json } = {}) {
      requests.push({ request: `${method} ${path}`, json });
      if (path === '/v1/bots/b') return {};
      return (states.length > 1 ? states.shift() : states[0]) ?? {};
    },
    stream: () => {
      throw new Error('nothing is streamed');
    },
    download: async () => {
      throw new Error('nothing is downloaded');
    },
  };

  async function run(positionals: readonly string[], values: CommandContext['values'] = {}, json = true) {
    const [stdout, stderr] = [new PassThrough(), new PassThrough()];
    const clock = { ...createManualClock(), sleep: async () => {} };
    const context: CommandContext = {
      terminal: { stdin: new PassThrough(), stdout, stderr, color: false },
      positionals,
      values: { bot: 'b', ...values },
      json,
      signal: new AbortController().signal,
      connect: async () => client,
    };
    const exitCode = await createTrainCommand(clock).run(context);
    return { exitCode, stdout: String(stdout.read() ?? ''), stderr: String(stderr.read() ?? '') };
  }

  const state = (status: string, more: Wire = {}): Wire => ({ id: 'src_1', status, counts: { documents: 3 }, ...more });

  it('makes a source of the address and waits until it is trained', async () => {
    states = [
      state('queued'),
      state('processing', { stage: 'fetching', progress: { done: 1, total: 3 } }),
      state('ready'),
    ];
    const values = { crawl: true, include: '/docs, /help', exclude: '*.pdf', 'max-pages': '7', every: '3600' };
    const { exitCode, stdout } = await run(['https://a.example/docs'], values);
    expect(exitCode).toBe(EXIT.ok);
    expect(requests[1]).toEqual({
      request: 'PUT /v1/bots/b/sources/by-key/https%3A%2F%2Fa.example%2Fdocs',
      json: {
        type: 'crawl',
        url: 'https://a.example/docs',
        include: ['/docs', '/help'],
        exclude: ['*.pdf'],
        max_pages: 7,
        sync_interval_seconds: 3600,
      },
    });
    const events = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(events.map(({ event }) => event)).toEqual(['queued', 'source', 'done']);
    expect(events.at(-1)).toMatchObject({ ready: 1, failed: 0, pages: 3 });
  });

  it('fetches a source again that is there already', async () => {
    states = [state('ready'), state('queued'), state('ready')];
    expect((await run(['https://a.example/'])).exitCode).toBe(EXIT.ok);
    expect(requests.map(({ request }) => request).slice(1, 3)).toEqual([
      'PUT /v1/bots/b/sources/by-key/https%3A%2F%2Fa.example%2F',
      'POST /v1/bots/b/sources/src_1/sync',
    ]);
  });

  it('tells of pages that could not be fetched, and of sources that failed', async () => {
    const last_error = { code: 'fetch_failed', message: '2 pages could not be fetched.' };
    states = [state('queued'), state('partial', { last_error })];
    const partial = await run(['https://a.example/'], {}, false);
    expect(partial.exitCode).toBe(EXIT.partlyTrained);
    expect(partial.stderr).toContain('2 pages could not be fetched. (fetch_failed)');
    expect(partial.stdout).toContain('0 ready, 1 partly with 3 pages');
    states = [state('queued'), state('failed', { last_error, counts: { documents: 0 } })];
    expect((await run(['https://a.example/'])).exitCode).toBe(EXIT.failure);
  });

  it.each([
    [['https://a.example/', './docs'], {}],
    [['https://a.example/'], { crawl: true, sitemap: true }],
    [['https://a.example/'], { include: '/docs' }],
    [['https://a.example/'], { 'max-pages': '3' }],
    [['https://a.example/'], { prune: true }],
    [['https://a.example/'], { watch: true }],
    [['https://a.example/'], { crawl: true, 'max-pages': 'many' }],
  ])('refuses %j with %j', async (positionals, values) => {
    await expect(run(positionals, values)).rejects.toMatchObject({ exitCode: EXIT.usage });
    expect(requests).toEqual([]);
  });
});
