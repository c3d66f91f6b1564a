import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createExactVectorStore, createFakeEmbedder } from '../../adapters/fakes/index.ts';
import { createFileBlobStore } from '../../adapters/file-system/index.ts';
import { openSqlite } from '../../adapters/sqlite/index.ts';
import { createGuardedWebClient } from '../../adapters/web-client/index.ts';
import { createEmbeddingGenerator } from '../../embeddings/index.ts';
import type { JobHandler } from '../../jobs/index.ts';
import {
  type Clock,
  createIdMaker,
  createManualClock,
  silentLogger,
  silentMeter,
  toAppError,
} from '../../kernel/index.ts';
import type { Bot, Document, Job, Source, Store } from '../../store/index.ts';
import { createChunkers } from '../chunking/strategies.ts';
import { createBotIndexes } from '../generations/bot-indexes.ts';
import { createInputParser, cutText } from '../loaders/parse-input.ts';
import { createTrainAgain } from '../pipeline/train-again.ts';
import { createTrainer } from '../pipeline/trainer.ts';
import { createTrainingHandler } from '../pipeline/training-handler.ts';
import type { DocumentParser, Trainer, WebContent } from '../ports.ts';
import { createSyncSchedule } from './sync-schedule.ts';
import { createWebParts } from './web-parts.ts';

interface SitePage {
  readonly body?: string | Buffer;
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A web site on this machine that remembers what it was asked for. */
async function startSite() {
  const pages = new Map<string, SitePage>();
  const asked: string[] = [];
  const notModified: string[] = [];
  const server: Server = createServer((request, response) => {
    const path = request.url ?? '';
    asked.push(path);
    const page = pages.get(path) ?? { status: 404, body: 'nothing here' };
    const etag = page.headers?.['etag'];
    if (etag !== undefined && request.headers['if-none-match'] === etag) {
      notModified.push(path);
      response.writeHead(304, { etag }).end();
      return;
    }
    response.writeHead(page.status ?? 200, { 'content-type': 'text/html', ...page.headers }).end(page.body ?? '');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const origin = `http://127.0.0.1:${port}`;
  return {
    origin,
    pages,
    notModified,
    /** Pages asked for since the last call, without robots.txt. */
    asked: (): readonly string[] => asked.splice(0).filter((path) => path !== '/robots.txt'),
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const html = (topic: string, links: readonly string[] = [], head = ''): string =>
  `<!doctype html><html><head><title>About ${topic}</title>${head}</head><body><nav>Menu</nav><main><h1>${topic}</h1>${Array.from(
    { length: 8 },
    (_, n) => `<p>The ${topic} rule ${n} says what people should do about ${topic} when they meet it.</p>`,
  ).join('')}${links.map((link) => `<a href="${link}">${link}</a>`).join(' ')}</main></body></html>`;

describe('training on the web', () => {
  const manual = createManualClock();
  const slept: number[] = [];
  const clock: Clock & { advance: (ms: number) => Promise<void> } = {
    now: manual.now,
    advance: manual.advance,
    sleep: async (milliseconds) => void slept.push(milliseconds),
  };
  const createId = createIdMaker(clock.now);
  let folder: string;
  let store: Store;
  let site: Awaited<ReturnType<typeof startSite>>;
  let web: ReturnType<typeof createWebParts> | undefined;
  let handler: JobHandler;
  let trainer: Trainer;
  let bot: Bot;
  let parsed: string[];
  let embedded: string[];
  let othersWait = false;
  let makeWeb: () => ReturnType<typeof createWebParts>;
  let makeHandler: () => JobHandler;
  const tenantId = createId('tnt');

  beforeEach(async () => {
    slept.length = 0;
    othersWait = false;
    folder = await mkdtemp(join(tmpdir(), 'crawling-'));
    site = await startSite();
    ({ store } = openSqlite({ file: ':memory:', clock, logger: silentLogger }));
    await store.start();
    await store.tenants.create({ id: tenantId, name: 'T', createdAt: 1, updatedAt: 1 });
    const blobs = createFileBlobStore({ folder });
    const vectors = createExactVectorStore();
    parsed = [];
    embedded = [];
    const generator = createEmbeddingGenerator({
      embedder: createFakeEmbedder(),
      clock: manual,
      logger: silentLogger,
      meter: silentMeter,
      random: () => 0,
    });
    const embeddings: typeof generator = {
      ...generator,
      embed: (texts, options) => {
        embedded.push(...texts);
        return generator.embed(texts, options);
      },
    };
    const counter = { count: (text: string) => text.split(/\s+/).length };
    const chunkerOf = createChunkers({ tokens: counter, targetTokens: 40, maxTokens: 60 });
    const parse = createInputParser({ chunkerOf, maxCharacters: 100_000 });
    const parser: Pick<DocumentParser, 'parse' | 'cut'> = {
      cut: (text) => cutText(text, { chunkerOf }),
      async parse(input) {
        parsed.push(input.name);
        return parse(input);
      },
    };
    const indexes = createBotIndexes({
      store,
      embedders: { own: embeddings, find: async () => embeddings },
      clock,
      createId,
    });
    makeWeb = () =>
      createWebParts({
        client: createGuardedWebClient({
          userAgent: 'test',
          allowPrivateHosts: ['127.0.0.1', 'localhost'],
          timeouts: { connect: 500, headers: 500 },
        }),
        clock,
        maxPageBytes: 200_000,
        delayMs: 0,
        retryMs: 0,
      });
    makeHandler = () => {
      web ??= makeWeb();
      const rechunk = parser.cut;
      return createTrainingHandler({
        store,
        blobs,
        web,
        parser,
        indexes,
        rechunk,
        vectors,
        clock,
        logger: silentLogger,
      });
    };
    handler = makeHandler();
    trainer = createTrainer({
      store,
      blobs,
      web: (web ?? makeWeb()).client,
      announce: async () => {},
      vectors,
      indexes,
      clock,
      createId,
    });
    const settings = {
      instructions: null,
      model: null,
      temperature: null,
      maxOutputTokens: null,
      refusalMessage: null,
    };
    bot = {
      ...settings,
      id: createId('bot'),
      tenantId,
      name: 'B',
      slug: 'b',
      retrieval: {},
      privacy: { pii: 'off' },
      metadata: {},
      createdAt: 1,
      updatedAt: 1,
    };
    await store.forTenant(tenantId).bots.create(bot);
  });
  afterAll(() => web?.stop());
  afterEach(async () => {
    await site.stop();
    await store.stop();
    await rm(folder, { recursive: true });
  });

  const tenant = () => store.forTenant(tenantId);

  function claim(): Promise<Job | null> {
    return store.system.jobs.claim({
      owner: 'me',
      kinds: ['train'],
      now: clock.now(),
      leaseMs: 60_000,
      maxPriority: null,
    });
  }

  async function runStage(job: Job, signal = new AbortController().signal): Promise<void> {
    const lease = { jobId: job.id, fencingToken: job.fencingToken };
    try {
      const result = await handler.stages[job.stage]?.({
        job,
        lease,
        signal,
        progress: () => {},
        sliceOver: () => othersWait,
      });
      if (result !== undefined) await store.system.jobs.release(lease, result, clock.now());
    } catch (error) {
      const { code, message } = toAppError(error);
      if (code === 'internal_error') throw error;
      if (await store.system.jobs.release(lease, { type: 'failed', error: { code, message } }, clock.now()))
        await handler.onFailed(job, { code, message });
    }
  }

  /** Runs all stages of all jobs, and returns their names. */
  async function runAll(): Promise<readonly string[]> {
    const stages: string[] = [];
    for (;;) {
      await clock.advance(1);
      const job = await claim();
      if (job === null) return stages;
      stages.push(job.stage);
      await runStage(job);
    }
  }

  async function current(source: Source): Promise<Source> {
    const found = await tenant().sources.get(bot.id, source.id);
    if (found === null) throw new Error('the source is gone');
    return found;
  }

  async function train(content: Omit<WebContent, 'url'> & { readonly path?: string }): Promise<Source> {
    const { path = '/', ...rest } = content;
    const source = await trainer.add(bot, { ...rest, url: `${site.origin}${path}` }, {});
    await runAll();
    return current(source);
  }

  async function again(source: Source): Promise<Source> {
    site.asked();
    parsed.length = 0;
    embedded.length = 0;
    await trainer.sync(bot, source);
    await runAll();
    return current(source);
  }

  async function documentsOf(source: Source): Promise<readonly Omit<Document, 'text'>[]> {
    return (await tenant().documents.list(source.id, { limit: 100, order: 'asc' })).items;
  }
  const pathsOf = async (source: Source): Promise<readonly (string | undefined)[]> =>
    (await documentsOf(source)).map(({ url }) => url?.replace(site.origin, '')).sort();

  describe('of one page', () => {
    it('takes the page with its title and its address, and follows no links', async () => {
      site.pages.set('/tea', { body: html('tea', ['/coffee']) });
      const source = await trainer.add(bot, { type: 'url', url: `${site.origin}/tea#brewing` }, {});
      expect(source).toMatchObject({ status: 'queued', stage: 'fetching', url: `${site.origin}/tea` });
      expect(await runAll()).toEqual(['fetching', 'loading', 'embedding']);
      const ready = await current(source);
      expect(ready).toMatchObject({ status: 'ready', lastError: null, counts: { documents: 1 } });
      expect(ready.web).toMatchObject({ lastSyncedAt: expect.any(Number), nextSyncAt: null });
      const [document] = await documentsOf(source);
      expect(document).toMatchObject({ url: `${site.origin}/tea`, title: 'About tea', state: 'searchable' });
      expect(site.asked()).toEqual(['/tea']);
      const chunks = await tenant().chunks.list(document?.id ?? '', { limit: 100, order: 'asc' });
      const found = await tenant().chunks.getSearchable(
        bot.id,
        chunks.items.map(({ id }) => id),
      );
      expect(found.map(({ documentUrl }) => documentUrl)).toContain(`${site.origin}/tea`);
    });

    it('follows redirects, and calls the page by its canonical address', async () => {
      site.pages.set('/old', { status: 301, headers: { location: '/new?utm_source=x' } });
      site.pages.set('/new?utm_source=x', { body: html('tea', [], '<link rel="canonical" href="/new">') });
      expect(await pathsOf(await train({ type: 'url', path: '/old' }))).toEqual(['/new']);
    });

    it('is trained as what its media type says, whatever its name', async () => {
      site.pages.set('/notes.com', {
        body: '# Notes\n\nMarkdown by its type.',
        headers: { 'content-type': 'text/markdown' },
      });
      const [document] = await documentsOf(await train({ type: 'url', path: '/notes.com' }));
      expect(document).toMatchObject({ state: 'searchable', title: 'Notes' });
      expect(parsed).toEqual(['notes.md']);
    });

    it.each([
      ['page_not_found', '/missing'],
      ['fetch_failed', '/broken'],
      ['unsupported_file_type', '/picture'],
      ['robots_disallowed', '/hidden'],
      ['robots_disallowed', '/private/x'],
      ['response_too_large', '/huge'],
      ['url_not_allowed', '/inside'],
      ['empty_content', '/empty'],
    ])('fails with %s for %s', async (code, path) => {
      site.pages.set('/robots.txt', {
        body: 'User-agent: *\nDisallow: /private/',
        headers: { 'content-type': 'text/plain' },
      });
      site.pages.set('/broken', { status: 500 });
      site.pages.set('/picture', { body: 'x', headers: { 'content-type': 'image/png' } });
      site.pages.set('/hidden', { body: html('secrets', [], '<meta name="robots" content="noindex, follow">') });
      site.pages.set('/private/x', { body: html('privacy') });
      site.pages.set('/huge', { body: 'x'.repeat(300_000) });
      site.pages.set('/inside', { status: 302, headers: { location: 'http://169.254.169.254/latest/' } });
      site.pages.set('/empty', { body: '<html><body></body></html>' });
      const source = await train({ type: 'url', path });
      expect(source).toMatchObject({ status: 'failed', lastError: { code } });
      if (path === '/private/x') expect(site.asked()).toEqual([]);
    });

    it.each([
      ['url_invalid', 'not an address'],
      ['url_invalid', 'ftp://example.com/'],
      ['url_not_allowed', 'http://10.0.0.1/'],
    ])('is refused at once with %s for %s', async (code, url) => {
      await expect(trainer.add(bot, { type: 'url', url }, {})).rejects.toMatchObject({ code, param: 'url' });
      expect((await tenant().sources.list(bot.id, { limit: 10, order: 'asc' })).items).toEqual([]);
    });
  });

  /** Home, three pages, and what a crawl has to keep away from. */
  function makeSite(): void {
    site.pages.set('/', {
      body: html('home', [
        '/tea',
        '/coffee?utm_campaign=x#top',
        '/docs/index.html',
        'https://elsewhere.example/',
        '/a.png',
      ]),
    });
    site.pages.set('/tea', {
      body: html('tea', ['/', '/coffee', 'deep/cup', 'mailto:a@b.example', 'javascript:void(0)']),
    });
    site.pages.set('/coffee', { body: html('coffee', ['/tea', '/missing']) });
    site.pages.set('/docs/index.html', { body: html('documents', ['/docs/', '/docs/guide']) });
    site.pages.set('/docs/', { body: html('documents', ['/docs/guide']) });
    site.pages.set('/docs/guide', { body: html('guide') });
    site.pages.set('/deep/cup', { body: html('cup') });
  }

  describe('of a site', () => {
    it('fetches each page of the site once, nearest first, and nothing else', async () => {
      makeSite();
      const source = await train({ type: 'crawl' });
      expect(source).toMatchObject({ status: 'ready', counts: { documents: 6 }, lastError: null });
      expect(await pathsOf(source)).toEqual(['/', '/coffee', '/deep/cup', '/docs/guide', '/docs/index.html', '/tea']);
      const asked = site.asked();
      expect([...asked].sort()).toEqual(
        ['/', '/coffee', '/deep/cup', '/docs/guide', '/docs/index.html', '/missing', '/tea'].sort(),
      );
      expect(asked.indexOf('/deep/cup')).toBeGreaterThan(asked.indexOf('/docs/index.html'));
    });

    it('heeds include and exclude patterns and the page limit; the start is fetched for its links', async () => {
      makeSite();
      const source = await train({ type: 'crawl', include: ['/tea', '/coffee', '/docs'], exclude: ['*guide'] });
      expect(await pathsOf(source)).toEqual(['/coffee', '/docs/index.html', '/tea']);
      expect(site.asked()).not.toContain('/docs/guide');
      const small = await train({ type: 'crawl', maxPages: 2 });
      expect(small.counts.documents).toBe(2);
      expect(site.asked()).toHaveLength(2);
    });

    it('heeds robots.txt, its delay up to a limit, nofollow and noindex', async () => {
      makeSite();
      site.pages.set('/robots.txt', {
        body: 'User-agent: other\nDisallow: /\n\nUser-agent: ChatSphereBot\nDisallow: /docs/\nCrawl-delay: 500\n',
        headers: { 'content-type': 'text/plain' },
      });
      site.pages.set('/tea', { body: html('tea', ['/deep/cup'], '<meta name="ROBOTS" content="NoIndex, NoFollow">') });
      site.pages.set('/coffee', {
        body: html('coffee', ['/milk']),
        headers: { 'x-robots-tag': 'googlebot: noindex, chatspherebot: noindex' },
      });
      site.pages.set('/milk', { body: html('milk') });
      const source = await train({ type: 'crawl' });
      expect(await pathsOf(source)).toEqual(['/', '/milk']);
      expect([...site.asked()].sort()).toEqual(['/', '/coffee', '/milk', '/tea']);
      expect(slept.length).toBeGreaterThan(0);
      // Time stands still here, so waiting adds up.
      expect(slept.every((time) => time % 10_000 === 0)).toBe(true);
    });

    it('leaves a site alone whose robots.txt cannot be had, and goes on when it can', async () => {
      makeSite();
      site.pages.set('/robots.txt', { status: 503 });
      const source = await train({ type: 'crawl' });
      expect(source).toMatchObject({ status: 'failed', lastError: { code: 'fetch_failed' } });
      expect(site.asked()).toEqual([]);
      site.pages.delete('/robots.txt');
      await clock.advance(60_000);
      expect((await again(source)).status).toBe('ready');
    });

    it('knows a page by its canonical address and by its bytes', async () => {
      const canonical = '<link rel="canonical" href="/tea">';
      site.pages.set('/', { body: html('home', ['/tea?print=1', '/tea?page=2', '/copy', '/wrong']) });
      site.pages.set('/tea', { body: html('tea', [], canonical) });
      site.pages.set('/tea?print=1', { body: html('tea to print', [], canonical) });
      site.pages.set('/tea?page=2', { body: html('more tea', [], canonical) });
      site.pages.set('/copy', { body: html('tea', [], canonical) });
      // Many sites name their start page on all pages by mistake.
      site.pages.set('/wrong', { body: html('wrong', [], '<link rel="canonical" href="/">') });
      expect(await pathsOf(await train({ type: 'crawl' }))).toEqual(['/', '/tea', '/wrong']);
    });

    it('goes to the site that the start redirects to', async () => {
      site.pages.set('/', { status: 301, headers: { location: '/home' } });
      site.pages.set('/home', { body: html('home', ['/', '/home', '/tea', '/gone-elsewhere']) });
      site.pages.set('/tea', { body: html('tea') });
      site.pages.set('/gone-elsewhere', { status: 302, headers: { location: 'http://localhost:1/' } });
      const source = await train({ type: 'crawl' });
      expect(await pathsOf(source)).toEqual(['/home', '/tea']);
      expect(site.asked()).toEqual(['/', '/home', '/tea', '/gone-elsewhere']);
    });

    it('keeps to its turns, and goes on where it was after the process has died', async () => {
      for (let page = 0; page < 12; page += 1) {
        site.pages.set(page === 0 ? '/' : `/${page}`, { body: html(`page${page}`, [`/${page + 1}`]) });
      }
      const source = await trainer.add(bot, { type: 'crawl', url: site.origin }, {});
      const job = await claim();
      if (job === null) throw new Error('no job');
      const dying = new AbortController();
      const lease = { jobId: job.id, fencingToken: job.fencingToken };
      const run = handler.stages['fetching']?.({
        job,
        lease,
        sliceOver: () => false,
        signal: dying.signal,
        progress: (done) => done >= 5 && dying.abort(),
      });
      await expect(run).rejects.toBeDefined();
      await web?.stop();
      web = undefined;
      const before = site.asked();
      handler = makeHandler();
      await store.system.jobs.expireAllLeases(clock.now());
      await runAll();
      const after = site.asked();
      expect((await current(source)).counts.documents).toBe(12);
      expect(before.length).toBeGreaterThanOrEqual(5);
      expect(new Set([...before, ...after]).size).toBe(13);
      // At most the pages of one turn are fetched a second time.
      expect(before.length + after.length).toBeLessThanOrEqual(13 + 2);
    });

    it('lets others in between pages when they wait', async () => {
      makeSite();
      othersWait = true;
      const source = await trainer.add(bot, { type: 'crawl', url: site.origin }, {});
      const stages = await runAll();
      expect(stages.filter((stage) => stage === 'fetching').length).toBeGreaterThan(2);
      expect(await current(source)).toMatchObject({ status: 'ready', counts: { documents: 6 } });
      expect(site.asked()).toHaveLength(7);
    });

    it('counts no failed page as progress, which would renew the attempts of its job for ever', async () => {
      site.pages.set('/broken', { status: 500 });
      await trainer.add(bot, { type: 'url', url: `${site.origin}/broken` }, {});
      await clock.advance(1);
      const job = await claim();
      if (job === null) throw new Error('no job');
      const lease = { jobId: job.id, fencingToken: job.fencingToken };
      const signal = new AbortController().signal;
      const reported: number[] = [];
      const progress = (done: number) => void reported.push(done);
      const run = handler.stages['fetching']?.({ job, lease, signal, progress, sliceOver: () => false });
      await expect(run).rejects.toMatchObject({ retryable: true });
      expect(reported).toEqual([0, 0]);
    });

    it('leaves the rest of a site that has gone down alone', async () => {
      const links = Array.from({ length: 40 }, (_, n) => `/p${n}`);
      site.pages.set('/', { body: html('home', links) });
      for (const link of links) site.pages.set(link, { status: 500 });
      const source = await train({ type: 'crawl' });
      expect(source).toMatchObject({
        status: 'partial',
        counts: { documents: 1 },
        lastError: { code: 'fetch_failed' },
      });
      expect(source.lastError?.message).toContain('40 pages could not be fetched');
      expect(site.asked().length).toBeLessThan(30);
    });

    it('goes on behind pages that are only for members', async () => {
      const closed = Array.from({ length: 20 }, (_, n) => `/members/${n}`);
      site.pages.set('/', { body: html('home', [...closed, '/tea']) });
      for (const link of closed) site.pages.set(link, { status: 403 });
      site.pages.set('/tea', { body: html('tea') });
      const source = await train({ type: 'crawl' });
      expect(await pathsOf(source)).toEqual(['/', '/tea']);
      expect(source.lastError?.message).toContain('20 pages could not be fetched');
    });

    it('ends with the pages it may have, whatever the site makes up', async () => {
      let made = 0;
      for (let page = 0; page < 60; page += 1) {
        const links = Array.from({ length: 30 }, () => `/trap/${(made++).toString(36)}`);
        site.pages.set(page === 0 ? '/' : `/trap/${(page - 1).toString(36)}`, { body: html(`trap${page}`, links) });
      }
      const source = await train({ type: 'crawl', maxPages: 20 });
      expect(source.counts.documents).toBe(20);
      expect(site.asked()).toHaveLength(20);
    });
  });

  describe('again', () => {
    const tagged = (topic: string, links: readonly string[], etag: string): SitePage => ({
      body: html(topic, links),
      headers: { etag },
    });

    it('only asks whether pages have changed; what has not is neither sent, parsed nor embedded', async () => {
      site.pages.set('/', tagged('home', ['/tea', '/coffee', '/milk'], '"h1"'));
      site.pages.set('/tea', tagged('tea', [], '"t1"'));
      site.pages.set('/coffee', { body: html('coffee') });
      site.pages.set('/milk', tagged('milk', [], '"m1"'));
      const source = await train({ type: 'crawl' });
      const before = await documentsOf(source);
      const unchanged = await again(source);
      expect(site.notModified.splice(0).sort()).toEqual(['/', '/milk', '/tea']);
      expect([parsed, embedded]).toEqual([[], []]);
      expect(unchanged).toMatchObject({ status: 'ready', counts: { ...source.counts, reused: source.counts.chunks } });
      expect(await documentsOf(source)).toEqual(before);

      site.pages.set('/tea', tagged('green tea', [], '"t2"'));
      const changed = await again(source);
      expect(parsed).toEqual(['tea.html']);
      expect(embedded.length).toBeGreaterThan(0);
      expect(embedded.every((text) => text.includes('tea'))).toBe(true);
      expect(changed.counts.documents).toBe(4);
      const after = await documentsOf(source);
      const idOf = (documents: typeof after, path: string) => documents.find(({ url }) => url?.endsWith(path))?.id;
      for (const path of ['/coffee', '/milk']) expect(idOf(after, path)).toBe(idOf(before, path));
      expect(idOf(after, '/tea')).not.toBe(idOf(before, '/tea'));
      expect(after.find(({ url }) => url?.endsWith('/tea'))?.title).toBe('About green tea');
    });

    it('removes pages that are gone, not to be had any more, or not linked any more', async () => {
      site.pages.set('/', { body: html('home', ['/gone', '/hidden', '/unlinked', '/stays']) });
      for (const name of ['gone', 'hidden', 'unlinked', 'stays']) site.pages.set(`/${name}`, { body: html(name) });
      const source = await train({ type: 'crawl' });
      expect(source.counts.documents).toBe(5);
      site.pages.set('/', { body: html('new home', ['/gone', '/hidden', '/stays']) });
      site.pages.set('/gone', { status: 410 });
      site.pages.set('/hidden', { body: html('hidden', [], '<meta name="robots" content="none">') });
      expect(await again(source)).toMatchObject({ status: 'ready', counts: { documents: 2 }, lastError: null });
      expect(await pathsOf(source)).toEqual(['/', '/stays']);
    });

    it('keeps the last good copy of a page that cannot be fetched, and of those behind it', async () => {
      site.pages.set('/', { body: html('home', ['/list', '/tea']) });
      site.pages.set('/list', { body: html('list', ['/behind']) });
      site.pages.set('/behind', { body: html('behind') });
      site.pages.set('/tea', { body: html('tea') });
      const source = await train({ type: 'crawl' });
      site.pages.set('/list', { status: 503 });
      site.pages.set('/tea', { body: html('black tea') });
      const partial = await again(source);
      expect(partial).toMatchObject({
        status: 'partial',
        counts: { documents: 4 },
        lastError: { code: 'fetch_failed' },
      });
      expect(partial.lastError?.message).toContain(`${site.origin}/list`);
      expect(await pathsOf(source)).toEqual(['/', '/behind', '/list', '/tea']);
      site.pages.set('/list', { body: html('list', ['/behind']) });
      expect(await again(source)).toMatchObject({ status: 'ready', lastError: null, counts: { documents: 4 } });
    });

    it('keeps what is behind pages that were not even asked for, because the site had gone down', async () => {
      const names = Array.from({ length: 20 }, (_, n) => `/p${n}`);
      site.pages.set('/', { body: html('home', names) });
      for (const name of names) site.pages.set(name, { body: html(name, [`${name}/behind`]) });
      for (const name of names) site.pages.set(`${name}/behind`, { body: html(`behind ${name}`) });
      const source = await train({ type: 'crawl' });
      expect(source.counts.documents).toBe(41);
      for (const path of site.pages.keys()) if (path !== '/') site.pages.set(path, { status: 500 });
      const partial = await again(source);
      expect(site.asked().length).toBeLessThan(30);
      expect(partial).toMatchObject({ status: 'partial', counts: { documents: 41, reused: source.counts.chunks } });
    });

    it('keeps everything when the whole site is down', async () => {
      makeSite();
      const source = await train({ type: 'crawl' });
      const before = await documentsOf(source);
      const paths = [...site.pages.keys()];
      const backup = new Map(site.pages);
      for (const path of paths) site.pages.set(path, { status: 502 });
      const failed = await again(source);
      expect(failed).toMatchObject({ status: 'failed', lastError: { code: 'fetch_failed' }, counts: source.counts });
      expect(await documentsOf(source)).toEqual(before);
      for (const path of paths) site.pages.set(path, { status: 404 });
      expect(await again(source)).toMatchObject({ status: 'failed', lastError: { code: 'page_not_found' } });
      expect(await documentsOf(source)).toEqual(before);
      for (const [path, page] of backup) site.pages.set(path, page);
      expect(await again(source)).toMatchObject({ status: 'ready', counts: { documents: 6 } });
    });

    it('trains what was fetched by a run that did not end', async () => {
      site.pages.set('/tea', tagged('tea', [], '"1"'));
      const source = await train({ type: 'url', path: '/tea' });
      site.pages.set('/tea', tagged('black tea', [], '"2"'));
      await trainer.sync(bot, source);
      await clock.advance(1);
      const job = await claim();
      if (job === null) throw new Error('no job');
      // Fetched, but never loaded: a newer job takes over, and the site says that nothing has changed since.
      await runStage(job);
      expect(await again(source)).toMatchObject({ status: 'ready' });
      expect((await documentsOf(source))[0]?.title).toBe('About black tea');
    });

    it('finds its time in the store, also after a restart, with jitter; one that runs is left alone', async () => {
      site.pages.set('/tea', { body: html('tea') });
      const startedAt = clock.now();
      const source = await trainer.add(bot, { type: 'url', url: `${site.origin}/tea`, syncIntervalMs: 600_000 }, {});
      expect(source.web?.nextSyncAt).toBe(startedAt + 600_000);
      const schedule = () =>
        createSyncSchedule({
          store,
          trainAgain: createTrainAgain({ clock, createId }),
          announce: async () => {},
          clock: manual,
          logger: silentLogger,
          random: () => 0.5,
        });
      expect(await schedule().runDue()).toBe(0);
      await clock.advance(600_000);
      // Its first job is still queued.
      expect(await schedule().runDue()).toBe(0);
      expect((await current(source)).web?.nextSyncAt).toBe(clock.now() + 630_000);
      await runAll();
      site.asked();
      await clock.advance(700_000);
      expect(await schedule().runDue()).toBe(1);
      expect(await schedule().runDue()).toBe(0);
      expect(await runAll()).toEqual(['fetching', 'loading', 'embedding']);
      expect(site.asked()).toEqual(['/tea']);
      expect((await current(source)).status).toBe('ready');
    });

    it('queues what is due though another source cannot be queued', async () => {
      for (const path of ['/tea', '/coffee']) site.pages.set(path, { body: html(path) });
      const content = (path: string): WebContent => ({
        type: 'url',
        url: `${site.origin}${path}`,
        syncIntervalMs: 600_000,
      });
      const broken = await trainer.add(bot, content('/tea'), {});
      const sound = await trainer.add(bot, content('/coffee'), {});
      await runAll();
      await clock.advance(700_000);
      const trainAgain = createTrainAgain({ clock, createId });
      const schedule = createSyncSchedule({
        store,
        trainAgain: async (repositories, source) => {
          if (source.id === broken.id) throw new Error('no');
          return trainAgain(repositories, source);
        },
        announce: async () => {},
        clock: manual,
        logger: silentLogger,
        random: () => 0.5,
      });
      expect(await schedule.runDue()).toBe(1);
      expect((await current(sound)).status).toBe('queued');
    });

    it('by key: equal settings do nothing, other times only that, other settings fetch, another type replaces', async () => {
      site.pages.set('/tea', { body: html('tea') });
      site.pages.set('/coffee', { body: html('coffee') });
      const put = async (content: Omit<WebContent, 'url'>, path: string) => {
        const result = await trainer.put(bot, 'docs', { content: { ...content, url: `${site.origin}${path}` } });
        return { ...result, stages: await runAll() };
      };
      expect(await put({ type: 'url' }, '/tea')).toMatchObject({ change: 'created' });
      expect(await put({ type: 'url' }, '/tea')).toMatchObject({ change: 'unchanged', stages: [] });
      const timed = await put({ type: 'url', syncIntervalMs: 900_000 }, '/tea');
      expect(timed).toMatchObject({ change: 'replaced', stages: [] });
      expect((await current(timed.source)).web).toMatchObject({
        syncIntervalMs: 900_000,
        nextSyncAt: expect.any(Number),
      });
      const moved = await put({ type: 'url' }, '/coffee');
      expect(moved.stages).toEqual(['fetching', 'loading', 'embedding']);
      expect(await current(moved.source)).toMatchObject({ url: `${site.origin}/coffee`, status: 'ready' });
      expect(await pathsOf(moved.source)).toEqual(['/coffee']);
      await trainer.put(bot, 'docs', { content: { type: 'text', title: 'T', content: 'Written by hand.' } });
      expect(await runAll()).toEqual(['loading', 'embedding']);
      const written = await current(moved.source);
      expect(written).toMatchObject({ type: 'text', url: null, status: 'ready', counts: { documents: 1 } });
      expect(written).not.toHaveProperty('web');
    });
  });

  describe('by sitemap', () => {
    const sitemap = (...entries: readonly (readonly [string, string?])[]): SitePage => ({
      body: `<?xml version="1.0"?><urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">${entries
        .map(
          ([path, lastmod]) =>
            `<url><loc>${site.origin}${path}</loc>${lastmod ? `<lastmod>${lastmod}</lastmod>` : ''}</url>`,
        )
        .join('')}</urlset>`,
      headers: { 'content-type': 'application/xml' },
    });

    it('fetches the pages that it lists, through indexes and gzip, and follows no links', async () => {
      site.pages.set('/sitemap.xml', {
        body: `<sitemapindex><sitemap><loc>${site.origin}/one.xml</loc></sitemap><sitemap><loc>${site.origin}/two.xml.gz</loc></sitemap></sitemapindex>`,
      });
      site.pages.set('/one.xml', sitemap(['/tea'], ['/coffee'], ['/excluded/x']));
      site.pages.set('/two.xml.gz', { ...sitemap(['/milk']), body: gzipSync(sitemap(['/milk']).body ?? '') });
      for (const name of ['tea', 'coffee', 'milk']) site.pages.set(`/${name}`, { body: html(name, ['/other']) });
      const source = await train({ type: 'sitemap', path: '/sitemap.xml', exclude: ['/excluded'] });
      expect(await pathsOf(source)).toEqual(['/coffee', '/milk', '/tea']);
      expect([...site.asked()].sort()).toEqual(['/coffee', '/milk', '/one.xml', '/sitemap.xml', '/tea', '/two.xml.gz']);
    });

    it('does not even ask after pages whose lastmod is the same, and drops those that it does not list any more', async () => {
      site.pages.set('/sitemap.xml', sitemap(['/tea', '2026-01-01'], ['/coffee', '2026-01-01'], ['/milk']));
      for (const name of ['tea', 'coffee', 'milk']) site.pages.set(`/${name}`, { body: html(name) });
      const source = await train({ type: 'sitemap', path: '/sitemap.xml' });
      site.pages.set('/sitemap.xml', sitemap(['/tea', '2026-01-01'], ['/coffee', '2026-02-02']));
      expect(await again(source)).toMatchObject({ status: 'ready', counts: { documents: 2 } });
      expect(site.asked()).toEqual(['/sitemap.xml', '/coffee']);
      await clock.advance(8 * 24 * 3_600_000);
      await again(source);
      expect([...site.asked()].sort()).toEqual(['/coffee', '/sitemap.xml', '/tea']);
    });

    it('keeps what the last sitemap listed when it cannot be had or read', async () => {
      site.pages.set('/sitemap.xml', sitemap(['/tea'], ['/coffee']));
      for (const name of ['tea', 'coffee']) site.pages.set(`/${name}`, { body: html(name) });
      const source = await train({ type: 'sitemap', path: '/sitemap.xml' });
      for (const broken of [{ status: 500 }, { body: '<html>Sorry</html>' }, { body: '' }]) {
        site.pages.set('/sitemap.xml', broken);
        expect((await again(source)).counts.documents).toBe(2);
        expect(await pathsOf(source)).toEqual(['/coffee', '/tea']);
      }
    });

    it.each([
      ['entities', '<!DOCTYPE x [<!ENTITY a "b">]><urlset><url><loc>http://127.0.0.1/&a;</loc></url></urlset>'],
      ['a bomb', gzipSync(Buffer.alloc(80 * 1024 ** 2, 32))],
    ])('refuses %s', async (_, body) => {
      site.pages.set('/sitemap.xml', { body });
      const source = await train({ type: 'sitemap', path: '/sitemap.xml' });
      expect(source.status).toBe('failed');
      expect(['parse_failed', 'response_too_large']).toContain(source.lastError?.code);
    });
  });
});
