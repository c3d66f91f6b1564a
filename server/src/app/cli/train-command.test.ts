import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createManualClock } from '../../kernel/index.ts';
import type { ApiClient, Wire } from './api-client.ts';
import { CliError, EXIT } from './cli-error.ts';
import { createTrainCommand } from './train-command.ts';

/** A server with sources that are trained when the test says so. */
function createServer() {
  const sources = new Map<string, Wire>();
  const requests: string[] = [];
  const add = (key: string, status: string): void => {
    sources.set(`src_${key}`, { id: `src_${key}`, status, counts: { chunks: 1 } });
  };
  const listed = (path: string): Wire => {
    const after = new URL(path, 'http://host').searchParams.get('after');
    const all = [...sources.values()].reverse();
    const start = after === null ? 0 : all.findIndex((source) => source['id'] === after) + 1;
    const data = all.slice(start, start + 100);
    return { data, last_id: data.at(-1)?.['id'] ?? null, has_more: start + 100 < all.length };
  };
  const client: ApiClient = {
    url: 'http://host',
    async request(method, path) {
      requests.push(`${method} ${path}`);
      const key = decodeURIComponent(path.split('/by-key/')[1] ?? '');
      if (method === 'PUT') {
        if (!sources.has(`src_${key}`)) add(key, 'queued');
        return sources.get(`src_${key}`) ?? {};
      }
      if (path.includes('/sources?')) return listed(path);
      const id = decodeURIComponent(path.split('/sources/')[1] ?? '');
      if (id === '') return {};
      const source = sources.get(id);
      if (source === undefined) throw new CliError(EXIT.notFound, 'gone', { code: 'source_not_found' });
      return source;
    },
    download: () => {
      throw new Error('nothing to download');
    },
    stream: () => {
      throw new Error('nothing is streamed');
    },
  };
  return { client, sources, requests, add };
}

describe('train', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'chatsphere-train-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  /** Starts the command on so many files. */
  async function start(files: number, values: Readonly<Record<string, boolean>> = {}) {
    const names = Array.from({ length: files }, (_, number) => `f${number}.md`);
    for (const name of names) await writeFile(join(folder, name), `# ${name}`);
    const server = createServer();
    const clock = createManualClock();
    const pauses: number[] = [];
    const watchedClock = {
      ...clock,
      sleep: (ms: number, signal?: AbortSignal) => {
        pauses.push(ms);
        return clock.sleep(ms, signal);
      },
    };
    const stdout = new PassThrough();
    const stderr = new PassThrough();
    const context = {
      terminal: { stdin: new PassThrough(), stdout, stderr, color: false },
      positionals: [folder],
      values: { bot: 'b', ...values },
      json: values['json'] === true,
      signal: new AbortController().signal,
      connect: async () => server.client,
    };
    const run = (): Promise<number> => createTrainCommand(watchedClock).run(context);
    const printed = (): string => String(stdout.read() ?? '');
    const done = (): unknown => JSON.parse(printed().trim().split('\n').at(-1) ?? '');
    /** Resolves with the length of the pause, in milliseconds, once the command makes one. */
    const pause = async (): Promise<number> => {
      while (pauses.length === 0) await new Promise((resolve) => setImmediate(resolve));
      return pauses.shift() ?? 0;
    };
    return { ...server, names, clock, run, printed, done, pause };
  }

  it('counts what is still training apart from what is ready', async () => {
    const { run, add, done } = await start(3, { json: true, 'no-wait': true });
    add('f0.md', 'ready');
    expect(await run()).toBe(EXIT.ok);
    expect(done()).toMatchObject({ event: 'done', ready: 1, unchanged: 1, waiting: 2, failed: 0 });
  });

  it('waits until all is trained, and says what was so before', async () => {
    const { run, add, clock, pause, printed } = await start(2);
    add('f0.md', 'ready');
    const ended = run();
    const first = await pause();
    add('f1.md', 'ready');
    await clock.advance(first);
    expect(await ended).toBe(EXIT.ok);
    expect(printed()).toMatch(/^2 ready \(1 unchanged\), 0 failed in /);
  });

  it.each([2, 30])('ends when one of %d sources is deleted meanwhile', async (files) => {
    const { run, sources, names, add, clock, pause, done } = await start(files, { json: true });
    const ended = run();
    const first = await pause();
    for (const name of names) add(name, 'ready');
    sources.delete('src_f1.md');
    await clock.advance(first);
    expect(await ended).toBe(EXIT.partlyTrained);
    expect(done()).toMatchObject({ ready: files - 1, failed: 1 });
  });

  it('asks after a few sources one by one, and less often while nothing happens', async () => {
    const { run, add, requests, clock, pause } = await start(1);
    for (let other = 0; other < 500; other += 1) add(`other${other}`, 'ready');
    const ended = run();
    const paused: number[] = [];
    for (let round = 0; round < 6; round += 1) {
      const ms = await pause();
      paused.push(ms);
      await clock.advance(ms);
    }
    expect(paused).toEqual([200, 300, 450, 675, 1_000, 1_000]);
    const last = await pause();
    expect(requests.filter((request) => request === 'GET /v1/bots/b/sources/src_f0.md')).toHaveLength(7);
    expect(requests.some((request) => request.includes('limit='))).toBe(false);
    add('f0.md', 'ready');
    await clock.advance(last);
    expect(await ended).toBe(EXIT.ok);
  });
});
