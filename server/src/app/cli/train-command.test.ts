import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rename, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createManualClock } from '../../kernel/index.ts';
import { type ApiClient, asList, asText, asWire, type Wire } from './api-client.ts';
import { CliError, EXIT } from './cli-error.ts';
import { createTrainCommand } from './train-command.ts';

/** A server with sources that are trained when the test says so. It keeps the hash of each file. */
function createServer() {
  const sources = new Map<string, Wire>();
  const hashes = new Map<string, string>();
  const requests: string[] = [];
  const bodies: Wire[] = [];
  const refused = new Set<string>();
  const add = (key: string, status: string, more: Wire = {}): void => {
    sources.set(`src_${key}`, { id: `src_${key}`, external_key: key, status, counts: { chunks: 1 }, ...more });
  };
  /** As if the file had been trained on before. */
  const addFile = (key: string, content: string, more: Wire = {}): void => {
    add(key, 'ready', more);
    hashes.set(key, createHash('sha256').update(content).digest('hex'));
  };
  const listed = (path: string): Wire => {
    const after = new URL(path, 'http://host').searchParams.get('after');
    const all = [...sources.values()].reverse();
    const start = after === null ? 0 : all.findIndex((source) => source['id'] === after) + 1;
    const data = all.slice(start, start + 100);
    return { data, last_id: data.at(-1)?.['id'] ?? null, has_more: start + 100 < all.length };
  };
  const asked = new Map<string, string>();
  let deleting: string[] = [];
  let unchanged = 0;
  const open = (body: Wire): Wire => {
    bodies.push(body);
    const manifest = asList(body['manifest']);
    const keys = new Set(manifest.map((entry) => asText(entry['external_key'])));
    const same = manifest.filter((entry) => hashes.get(asText(entry['external_key'])) === entry['content_hash']);
    asked.clear();
    for (const entry of manifest) {
      if (!same.includes(entry)) asked.set(asText(entry['external_key']), asText(entry['content_hash']));
    }
    deleting = body['prune'] === true ? [...hashes.keys()].filter((key) => !keys.has(key)) : [];
    unchanged = same.length;
    const unsettled = same
      .map((entry) => sources.get(`src_${asText(entry['external_key'])}`) ?? {})
      .filter(({ status }) => status !== 'ready')
      .map((source) => ({ ...source, source_id: source['id'] }));
    return { id: 'syn_1', plan: { upload: [...asked.keys()], unchanged, delete: deleting }, unsettled };
  };
  const take = (key: string): Wire => {
    if (refused.has(key)) {
      return { external_key: key, status: 'refused', error: { code: 'empty_content', message: 'It is empty.' } };
    }
    if (!sources.has(`src_${key}`)) add(key, 'queued');
    hashes.set(key, asked.get(key) ?? '');
    return { external_key: key, status: 'created', source: sources.get(`src_${key}`) };
  };
  const commit = (): Wire => {
    for (const key of deleting) {
      sources.delete(`src_${key}`);
      hashes.delete(key);
    }
    return { counts: { unchanged, relabel: 0, deleted: deleting.length }, receipt: { sources: deleting.length } };
  };
  const client: ApiClient = {
    url: 'http://host',
    async request(method, path, { json, form } = {}) {
      requests.push(`${method} ${path}`);
      if (path.endsWith('/sync_runs')) return open(asWire(json));
      if (path.endsWith('/sync_runs/syn_1/commit')) {
        bodies.push(asWire(json));
        return commit();
      }
      if (path.endsWith('/sync_runs/syn_1/cancel')) return {};
      if (path.endsWith('/sync_runs/syn_1/sources')) {
        const files = form?.getAll('file').filter((file) => typeof file !== 'string') ?? [];
        return { data: files.map((file) => take(file.name)) };
      }
      const key = decodeURIComponent(path.split('/by-key/')[1] ?? '');
      if (method === 'PUT') {
        const answer = take(key);
        if (answer['status'] !== 'refused') return asWire(answer['source']);
        throw new CliError(EXIT.failure, 'It is empty.', { code: 'empty_content' });
      }
      if (path.includes('/sources?')) return listed(path);
      const id = decodeURIComponent(path.split('/sources/')[1] ?? '');
      if (id === '') return {};
      const source = sources.get(id);
      if (source === undefined) throw new CliError(EXIT.notFound, 'gone', { code: 'source_not_found' });
      return source;
    },
    stream: () => {
      throw new Error('nothing is streamed');
    },
    download: async () => {
      throw new Error('nothing is downloaded');
    },
  };
  return { client, sources, requests, bodies, refused, add, addFile };
}

describe('train', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'chatsphere-train-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  /** Starts the command on so many files. */
  async function start(files: number, values: Readonly<Record<string, boolean | string>> = {}) {
    const names = Array.from({ length: files }, (_, number) => `f${number}.md`);
    for (const name of names) await writeFile(join(folder, name), `# ${name}`);
    const server = createServer();
    const interrupt = new AbortController();
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
      signal: interrupt.signal,
      connect: async () => server.client,
    };
    const run = (): Promise<number> => createTrainCommand(watchedClock).run(context);
    const printed = (): string => String(stdout.read() ?? '');
    const said = (): string => String(stderr.read() ?? '');
    const done = (): unknown => JSON.parse(printed().trim().split('\n').at(-1) ?? '');
    /** Resolves with the length of the pause, in milliseconds, once the command makes one. */
    const pause = async (): Promise<number> => {
      while (pauses.length === 0) await new Promise((resolve) => setImmediate(resolve));
      return pauses.shift() ?? 0;
    };
    return { ...server, names, clock, run, printed, said, done, pause, interrupt };
  }

  it('counts what is still training apart from what is ready', async () => {
    const { run, addFile, done } = await start(3, { json: true, 'no-wait': true });
    addFile('f0.md', '# f0.md');
    expect(await run()).toBe(EXIT.ok);
    expect(done()).toMatchObject({ event: 'done', ready: 1, unchanged: 1, waiting: 2, failed: 0 });
  });

  it('waits until all is trained, and says what was so before', async () => {
    const { run, add, addFile, clock, pause, printed } = await start(2);
    addFile('f0.md', '# f0.md');
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

  it('sends many files in one form, and those of odd names by themselves', async () => {
    const { run, requests, done, refused } = await start(5, { json: true, 'no-wait': true });
    await mkdir(join(folder, 'more'));
    await writeFile(join(folder, 'more/100%.md'), 'text');
    await writeFile(join(folder, 'more/empty.md'), ' ');
    refused.add('more/empty.md');
    expect(await run()).toBe(EXIT.partlyTrained);
    expect(requests.filter((request) => request.endsWith('/sync_runs/syn_1/sources'))).toHaveLength(1);
    expect(requests.filter((request) => request.startsWith('PUT '))).toEqual([
      'PUT /v1/bots/b/sources/by-key/more%2F100%25.md',
    ]);
    expect(done()).toMatchObject({ waiting: 6, failed: 1 });
  });

  it('waits for unchanged files that are still being trained, and tells of those that are partly usable', async () => {
    const { run, addFile, done, pause, clock } = await start(2, { json: true });
    const last_error = { code: 'parse_failed', message: 'One of two.' };
    addFile('f0.md', '# f0.md', { status: 'processing' });
    addFile('f1.md', '# f1.md', { status: 'partial', last_error });
    const ended = run();
    const first = await pause();
    addFile('f0.md', '# f0.md');
    await clock.advance(first);
    expect(await ended).toBe(EXIT.partlyTrained);
    expect(done()).toMatchObject({ ready: 1, unchanged: 0, failed: 1 });
  });

  it('deletes what is gone when it may, below the prefix alone', async () => {
    const { run, addFile, bodies, done, sources } = await start(1, {
      json: true,
      prune: true,
      yes: true,
      prefix: 'docs/',
    });
    addFile('docs/f0.md', '# f0.md');
    addFile('docs/gone.md', 'text');
    expect(await run()).toBe(EXIT.ok);
    expect(bodies[0]).toMatchObject({ prune: true, prefix: 'docs/', manifest: [{ external_key: 'docs/f0.md' }] });
    expect(done()).toMatchObject({ ready: 1, unchanged: 1, deleted: 1 });
    expect([...sources.keys()]).toEqual(['src_docs/f0.md']);
  });

  it('deletes nothing when nobody can be asked', async () => {
    const { run, addFile, requests, sources } = await start(1, { prune: true });
    addFile('gone.md', 'text');
    await expect(run()).rejects.toMatchObject({ exitCode: EXIT.usage });
    expect(requests.at(-1)).toBe('POST /v1/bots/b/sync_runs/syn_1/cancel');
    expect(sources.size).toBe(1);
  });

  it('refuses to prune by a single file', async () => {
    const { run } = await start(1, { prune: true, yes: true });
    await rm(folder, { recursive: true });
    await writeFile(folder, 'text');
    await expect(run()).rejects.toMatchObject({ exitCode: EXIT.usage });
  });

  it('says what it would do, and does nothing', async () => {
    const { run, addFile, requests, printed } = await start(1, { prune: true, 'dry-run': true });
    addFile('gone.md', 'text');
    expect(await run()).toBe(EXIT.ok);
    expect(printed()).toBe('upload f0.md\ndelete gone.md\n');
    expect(requests.slice(-2)).toEqual(['POST /v1/bots/b/sync_runs', 'POST /v1/bots/b/sync_runs/syn_1/cancel']);
  });

  it('refuses a file by itself whose key is too long', async () => {
    const { run, done } = await start(1, { json: true, 'no-wait': true, prefix: 'p'.repeat(497) });
    await writeFile(join(folder, 'g'), 'no kind');
    expect(await run()).toBe(EXIT.failure);
    expect(done()).toMatchObject({ failed: 1, skipped: 1 });
  });

  it('watches: takes what changed once it has come to rest, and ends when it is interrupted', async () => {
    const { run, addFile, bodies, clock, pause, interrupt, sources } = await start(2, {
      json: true,
      watch: true,
      prune: true,
      yes: true,
      'no-wait': true,
    });
    for (const name of ['f0.md', 'f1.md']) addFile(name, `# ${name}`);
    const ended = run();
    const keysOf = (body: Wire | undefined): string[] =>
      asList(body?.['manifest']).map((entry) => asText(entry['external_key']));
    /** Lets time pass until another manifest was sent and committed. */
    const nextRun = async (): Promise<Wire | undefined> => {
      for (const before = bodies.length; bodies.length < before + 2; ) await clock.advance(await pause());
      return bodies.at(-2);
    };
    // The first run asks for nothing; then the folder is looked at and nothing happens.
    await clock.advance(await pause());
    await clock.advance(await pause());
    expect(bodies).toHaveLength(2);

    // As editors save: a new file takes the place of the old one.
    await writeFile(join(folder, 'f0.md.tmp'), '# new text');
    await rename(join(folder, 'f0.md.tmp'), join(folder, 'f0.md'));
    expect(keysOf(await nextRun())).toEqual(['f0.md', 'f1.md']);

    await rename(join(folder, 'f1.md'), join(folder, 'renamed.md'));
    expect(keysOf(await nextRun())).toEqual(['f0.md', 'renamed.md']);
    expect([...sources.keys()].sort()).toEqual(['src_f0.md', 'src_renamed.md']);

    // A new time and nothing else is looked at and asks for nothing.
    await utimes(join(folder, 'f0.md'), new Date(), new Date(0));
    await nextRun();
    interrupt.abort(new Error('SIGINT'));
    await expect(ended).rejects.toThrow('SIGINT');
  });

  it('watches on when the folder is emptied or gone, and deletes nothing', async () => {
    const { run, addFile, bodies, clock, pause, interrupt, said } = await start(1, {
      watch: true,
      prune: true,
      yes: true,
      'no-wait': true,
    });
    addFile('f0.md', '# f0.md');
    const ended = run();
    await clock.advance(await pause());
    await rm(folder, { recursive: true });
    await clock.advance(await pause());
    await clock.advance(await pause());
    await mkdir(folder);
    let told = said();
    while (!told.includes('nothing is deleted')) {
      await clock.advance(await pause());
      told += said();
    }
    expect(bodies).toHaveLength(2);
    interrupt.abort(new Error('SIGINT'));
    await expect(ended).rejects.toThrow('SIGINT');
  });
});
