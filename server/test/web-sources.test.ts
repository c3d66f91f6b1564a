import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type BuiltServer, callServer, jobEnded, runBuiltCli, startBuiltServer } from './built-server.ts';

const PAGES = 30;

describe('sources of the web, by the built server', () => {
  let folder = '';
  let server: BuiltServer;
  let site: Server;
  let origin = '';
  let asked: string[] = [];
  let env: Record<string, string> = {};
  let stuck = false;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'chatsphere-web-'));
    site = createServer((request, response) => {
      const path = request.url ?? '';
      asked.push(path);
      // So that the server can be killed in the middle of the crawl.
      if (stuck && path === `/p${PAGES / 2}`) return;
      const page = /^\/p(\d+)$/.exec(path)?.[1];
      if (page === undefined || Number(page) >= PAGES) return void response.writeHead(404).end();
      const etag = `"${page}"`;
      if (request.headers['if-none-match'] === etag) return void response.writeHead(304, { etag }).end();
      const text = `Machine number ${page} of the kind zorblax${page} is cleaned with a brush every ${page} days.`;
      response
        .writeHead(200, { 'content-type': 'text/html', etag })
        .end(
          `<html><head><title>Machine ${page}</title></head><body><main><h1>Machine ${page}</h1><p>${text}</p><a href="/p${Number(page) + 1}">next</a></main></body></html>`,
        );
    });
    await new Promise<void>((resolve) => site.listen(0, '127.0.0.1', resolve));
    origin = `http://127.0.0.1:${(site.address() as AddressInfo).port}`;
    env = { CHATSPHERE_DATA_DIR: join(folder, 'data'), CRAWL_ALLOW_PRIVATE_HOSTS: new URL(origin).host };
    server = await startBuiltServer({ dataFolder: join(folder, 'data'), env });
  });
  afterAll(async () => {
    await server.stop();
    site.closeAllConnections();
    await new Promise((resolve) => site.close(resolve));
    await rm(folder, { recursive: true, force: true });
  });

  it('are refused where they lead to this machine, if it is not named', async () => {
    await callServer(server, { path: '/v1/bots', json: { name: 'Machines' } });
    const other = new URL(origin);
    other.port = String(Number(other.port) + 1);
    for (const url of [other.href, 'http://localhost/', 'http://169.254.169.254/']) {
      const { status, body } = await callServer(server, {
        path: '/v1/bots/machines/sources',
        json: { type: 'url', url },
      });
      expect([status, (body['error'] as { code: string }).code]).toEqual([400, 'url_not_allowed']);
    }
  });

  it('are crawled to the end although the server is killed on the way', async () => {
    stuck = true;
    const crawl = { type: 'crawl', url: `${origin}/p0`, sync_interval_seconds: 86_400, external_key: 'machines' };
    const { status, body } = await callServer(server, { path: '/v1/bots/machines/sources', json: crawl });
    expect([status, body['stage'], body['url'], body['sync_interval_seconds']]).toEqual([
      202,
      'fetching',
      `${origin}/p0`,
      86_400,
    ]);
    expect(body['crawl']).toEqual({ include: [], exclude: [], max_pages: 100 });
    while (!asked.includes(`/p${PAGES / 2}`)) await new Promise((resolve) => setTimeout(resolve, 20));
    await server.stop('SIGKILL');
    stuck = false;
    server = await startBuiltServer({ dataFolder: join(folder, 'data'), env });
    await jobEnded(server, String(body['job_id']));
    const source = await callServer(server, { path: `/v1/bots/machines/sources/${String(body['id'])}` });
    expect(source.body).toMatchObject({ status: 'ready', counts: { documents: PAGES }, last_error: null });
    expect(source.body['last_synced_at']).toEqual(expect.any(Number));
    const pages = asked.filter((path) => path.startsWith('/p'));
    expect(new Set(pages).size).toBe(PAGES + 1);
    // The page at which it was killed, and at most one beside it, are asked for again.
    expect(pages.length).toBeLessThanOrEqual(PAGES + 3);
    const found = await callServer(server, { path: '/v1/bots/machines/search', json: { query: 'zorblax7' } });
    expect((found.body['data'] as { url: string }[])[0]?.url).toBe(`${origin}/p7`);
  });

  it('do no work again while nothing has changed', async () => {
    asked = [];
    const list = await callServer(server, { path: '/v1/bots/machines/sources' });
    const [source] = list.body['data'] as { id: string; counts: { chunks: number } }[];
    const synced = await callServer(server, { method: 'POST', path: `/v1/bots/machines/sources/${source?.id}/sync` });
    await jobEnded(server, String(synced.body['job_id']));
    const { body } = await callServer(server, { path: `/v1/bots/machines/sources/${source?.id}` });
    expect(body).toMatchObject({ status: 'ready', counts: { documents: PAGES, reused: source?.counts.chunks } });
    expect(asked.filter((path) => path.startsWith('/p'))).toHaveLength(PAGES + 1);
  });

  it('are trained from the command line', async () => {
    const options = ['--bot', 'machines', '--crawl', '--include', '/p1', '--max-pages', '5'];
    const { stdout, code } = await runBuiltCli(['train', `${origin}/p1`, ...options], { env });
    expect(stdout).toContain('1 ready with 1 page,');
    expect(code).toBe(0);
    const failed = await runBuiltCli(['train', `${origin}/nothing`, '--bot', 'machines'], { env });
    expect(failed.stderr).toContain('page_not_found');
    expect(failed.code).toBe(1);
  });
});
