import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { freePort } from '../../bench/lib/brokers.mjs';
import { REPOSITORY, readExample } from './deploy-files.ts';

const ANALYZE = '/usr/bin/systemd-analyze';
const QUICK = { timeout: 20_000, interval: 20 };

function isThere(program: string): boolean {
  try {
    accessSync(program, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** With `CI=true` what is missing is a failure, not a reason to pass over it. */
const mustRun = process.env['CI'] === 'true';

interface Upstream {
  readonly port: number;
  readonly seen: string[];
  /** What it does with requests other than its check. */
  behaviour: 'answer' | 'leaving' | 'cut' | 'refuse';
  /** Responses of streams that are open. */
  readonly streams: Set<ServerResponse>;
  stop(): Promise<void>;
  again(): Promise<void>;
  /** Takes no connections any more; what is under way goes on. */
  refuse(): void;
}

async function startUpstream(name: string): Promise<Upstream> {
  const streams = new Set<ServerResponse>();
  const upstream = { seen: [] as string[], behaviour: 'answer' as Upstream['behaviour'], streams };
  const serve = (incoming: IncomingMessage, response: ServerResponse): void => {
    const path = incoming.url ?? '';
    if (path === '/readyz') {
      response.writeHead(upstream.behaviour === 'leaving' ? 503 : 200).end();
      return;
    }
    incoming.resume();
    upstream.seen.push(`${incoming.method} ${path}`);
    if (upstream.behaviour === 'cut') {
      incoming.on('end', () => incoming.socket.destroy());
      return;
    }
    if (upstream.behaviour === 'refuse') {
      response.writeHead(503, { 'retry-after': '1' }).end('busy');
      return;
    }
    if (upstream.behaviour === 'leaving') response.setHeader('connection', 'close');
    if (path === '/v1/chat/completions') {
      response.writeHead(200, { 'content-type': 'text/event-stream', 'x-served-by': name });
      response.write('data: first\n\n');
      streams.add(response);
      // As tokens come: HAProxy hears with the next one that nobody reads any more.
      const tokens = setInterval(() => response.write('data: next\n\n'), 25);
      response.on('close', () => {
        clearInterval(tokens);
        streams.delete(response);
      });
      return;
    }
    response.writeHead(200, { 'x-served-by': name }).end(path);
  };
  let server: Server = createServer(serve);
  const listen = (port: number): Promise<void> => new Promise((resolve) => server.listen(port, '127.0.0.1', resolve));
  await listen(0);
  const { port } = server.address() as AddressInfo;
  return Object.assign(upstream, {
    port,
    async stop() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
    refuse() {
      server.close();
    },
    async again() {
      server = createServer(serve);
      await listen(port);
    },
  });
}

interface Answer {
  readonly status: number;
  readonly by: string | undefined;
}

function ask(port: number, method: string, path: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asked = request({ port, host: '127.0.0.1', method, path, agent: false }, (response) => {
      response.resume();
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, by: response.headers['x-served-by']?.toString() }),
      );
    });
    asked.on('error', reject);
    asked.end(method === 'POST' ? '{"a":1}' : undefined);
  });
}

/** Opens a stream, and resolves with its first piece while it goes on. */
async function openStream(
  port: number,
): Promise<{ readonly text: string; leave(): void; next(): Promise<void>; readonly by: string }> {
  const asked = request({ port, host: '127.0.0.1', method: 'POST', path: '/v1/chat/completions', agent: false });
  asked.on('error', () => {});
  asked.end('{}');
  const [response] = (await once(asked, 'response')) as [IncomingMessage];
  const [piece] = (await once(response, 'data')) as [Buffer];
  return {
    text: piece.toString(),
    leave: () => asked.destroy(),
    async next() {
      await once(response, 'data');
    },
    by: String(response.headers['x-served-by']),
  };
}

const PROXIES = [
  {
    name: 'nginx',
    program: '/usr/sbin/nginx',
    example: 'deploy/nginx/chatsphere.conf',
    write: (folder: string, text: string) => {
      writeFileSync(join(folder, 'chatsphere.conf'), text);
      const main = `daemon off; pid ${folder}/nginx.pid; error_log ${folder}/error.log; events {}
http { access_log off; client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy; fastcgi_temp_path ${folder}/f;
uwsgi_temp_path ${folder}/u; scgi_temp_path ${folder}/s; include ${folder}/chatsphere.conf; }`;
      writeFileSync(join(folder, 'nginx.conf'), main);
      return ['-c', join(folder, 'nginx.conf'), '-e', join(folder, 'error.log')];
    },
    listen: (text: string, port: number) => text.replace('listen 80;', `listen 127.0.0.1:${port};`),
    check: ['-t'],
  },
  {
    name: 'HAProxy',
    program: '/usr/sbin/haproxy',
    example: 'deploy/haproxy/haproxy.cfg',
    write: (folder: string, text: string) => {
      writeFileSync(join(folder, 'haproxy.cfg'), text);
      return ['-f', join(folder, 'haproxy.cfg'), '-db', '-q'];
    },
    listen: (text: string, port: number) => text.replace('bind :80', `bind 127.0.0.1:${port}`),
    check: ['-c'],
  },
] as const;

describe.each(PROXIES)(
  'two servers behind $name',
  { timeout: 60_000 },
  ({ name, program, example, write, listen, check }) => {
    const isSkipped = !isThere(program) && !mustRun;
    let folder: string;
    let port: number;
    let proxy: ChildProcess;
    let one: Upstream;
    let two: Upstream;
    beforeAll(async () => {
      if (isSkipped) return;
      folder = mkdtempSync(join(tmpdir(), 'chatsphere-proxy-'));
      [one, two, port] = await Promise.all([startUpstream('one'), startUpstream('two'), freePort()]);
      const ports = readExample(example)
        .replaceAll('127.0.0.1:3000', `127.0.0.1:${one.port}`)
        .replaceAll('127.0.0.1:3100', `127.0.0.1:${two.port}`);
      const parameters = write(folder, listen(ports, port));
      // Throws when the proxy does not take its configuration.
      execFileSync(program, [...check, ...parameters], { stdio: 'pipe' });
      proxy = spawn(program, parameters, { stdio: 'ignore' });
      await vi.waitFor(async () => expect((await ask(port, 'GET', '/v1/models')).status).toBe(200), QUICK);
    }, 60_000);
    afterAll(async () => {
      if (isSkipped) return;
      const left = once(proxy, 'exit');
      proxy.kill('SIGKILL');
      await left;
      await Promise.all([one, two].map((upstream) => upstream.stop().catch(() => {})));
      rmSync(folder, { recursive: true, force: true });
    });
    const both = async (): Promise<void> => {
      Object.assign(one, { behaviour: 'answer' });
      Object.assign(two, { behaviour: 'answer' });
      await vi.waitFor(async () => {
        const served = await Promise.all(Array.from({ length: 8 }, () => ask(port, 'GET', '/v1/models')));
        expect(new Set(served.map(({ by }) => by))).toEqual(new Set(['one', 'two']));
      }, QUICK);
      one.seen.length = 0;
      two.seen.length = 0;
    };

    it.skipIf(isSkipped)('pass on each event of a stream at once, and that the client has left', async () => {
      await both();
      const stream = await openStream(port);
      expect(stream.text).toContain('data: first');
      const server = stream.by === 'one' ? one : two;
      expect(server.streams.size).toBe(1);
      stream.leave();
      await vi.waitFor(() => expect(server.streams.size).toBe(0), QUICK);
    });

    it.skipIf(isSkipped)('lose no question when one of them is gone', async () => {
      await both();
      await one.stop();
      const streams = await Promise.all(Array.from({ length: 6 }, () => openStream(port)));
      expect(streams.map(({ by }) => by)).toEqual(Array.from({ length: 6 }, () => 'two'));
      for (const stream of streams) stream.leave();
      const others = await Promise.all(Array.from({ length: 6 }, () => ask(port, 'POST', '/v1/bots')));
      expect(others.map(({ status }) => status)).toEqual(Array.from({ length: 6 }, () => 200));
      await one.again();
    });

    it.skipIf(isSkipped)(
      'lose nothing when one of them says that it is leaving, then takes no connections',
      async () => {
        await both();
        const open = await Promise.all(Array.from({ length: 4 }, () => openStream(port)));
        const leaving = open.filter(({ by }) => by === 'one');
        expect(leaving.length).toBeGreaterThan(0);
        one.behaviour = 'leaving';
        if (name === 'HAProxy') {
          // It looks by itself, and the server serves on until then (SHUTDOWN_DELAY_MS).
          await vi.waitFor(async () => {
            const served = await Promise.all(Array.from({ length: 4 }, () => ask(port, 'GET', '/v1/models')));
            expect(served.map(({ by }) => by)).toEqual(['two', 'two', 'two', 'two']);
          }, QUICK);
        }
        one.refuse();
        const changes = await Promise.all(Array.from({ length: 6 }, () => ask(port, 'POST', '/v1/bots/shop/sources')));
        expect(changes).toEqual(Array.from({ length: 6 }, () => ({ status: 200, by: 'two' })));
        const streams = await Promise.all(Array.from({ length: 6 }, () => openStream(port)));
        expect(streams.map(({ by }) => by)).toEqual(Array.from({ length: 6 }, () => 'two'));
        expect(one.streams.size).toBe(leaving.length);
        await leaving[0]?.next();
        for (const stream of [...open, ...streams]) stream.leave();
        await vi.waitFor(() => expect(one.streams.size).toBe(0), QUICK);
        await one.again();
      },
    );

    // HAProxy asks by itself whether a server is back.
    if (name !== 'HAProxy') {
      it.skipIf(isSkipped)(
        'lose nothing when the other one leaves while the first question to one that came back is being answered',
        async () => {
          await both();
          await one.stop();
          const found = await Promise.all(Array.from({ length: 12 }, () => ask(port, 'GET', '/v1/models')));
          expect(new Set(found.map(({ by }) => by))).toEqual(new Set(['two']));
          await one.again();
          // nginx holds a server for lost until a request to it has ended, and lets one through in some seconds.
          const streams: Awaited<ReturnType<typeof openStream>>[] = [];
          await vi.waitFor(async () => {
            streams.push(await openStream(port));
            expect(streams.at(-1)?.by).toBe('one');
          }, QUICK);
          two.refuse();
          const changes = await Promise.all(
            Array.from({ length: 12 }, () => ask(port, 'POST', '/v1/bots/shop/sources')),
          );
          expect(new Set(changes.map(({ status, by }) => `${status} ${by}`))).toEqual(new Set(['200 one']));
          for (const stream of streams) stream.leave();
          await vi.waitFor(() => expect(two.streams.size).toBe(0), QUICK);
          await two.again();
        },
      );
    }
    it.skipIf(isSkipped)('tell the client what a server says with 503, and keep it in service', async () => {
      await both();
      Object.assign(one, { behaviour: 'refuse' });
      Object.assign(two, { behaviour: 'refuse' });
      const refused = await Promise.all(Array.from({ length: 12 }, () => ask(port, 'POST', '/v1/bots/shop/search')));
      expect(refused.map(({ status }) => status)).toEqual(Array.from({ length: 12 }, () => 503));
      expect(one.seen.length + two.seen.length).toBe(12);
      Object.assign(one, { behaviour: 'answer' });
      Object.assign(two, { behaviour: 'answer' });
      expect((await ask(port, 'POST', '/v1/bots/shop/search')).status).toBe(200);
    });

    it.skipIf(isSkipped)('do not repeat a change that may have been made', async () => {
      await both();
      Object.assign(one, { behaviour: 'cut' });
      Object.assign(two, { behaviour: 'cut' });
      const { status } = await ask(port, 'POST', '/v1/bots/shop/sources');
      expect(status).toBe(502);
      expect([...one.seen, ...two.seen]).toEqual(['POST /v1/bots/shop/sources']);
    });

    it.skipIf(isSkipped)('do not show what is of the process', async () => {
      await both();
      for (const path of ['/metrics', '/readyz', '/healthz', '/health', '/ready']) {
        expect([403, 404]).toContain((await ask(port, 'GET', path)).status);
      }
      expect((await ask(port, 'GET', '/docs')).status).toBe(200);
    });
  },
);

describe('the unit of systemd', () => {
  const unit = readExample('deploy/systemd/chatsphere.service');
  const values = new Map([...unit.matchAll(/^(\w+)=(.*)$/gm)].map(([, key = '', value = '']) => [key, value]));

  it('is of three sections, waits for answers, and may write to its data alone', () => {
    expect([...unit.matchAll(/^\[(\w+)\]$/gm)].map(([, section]) => section)).toEqual(['Unit', 'Service', 'Install']);
    expect(Number(values.get('TimeoutStopSec'))).toBeGreaterThanOrEqual(25);
    expect(values.get('ProtectSystem')).toBe('strict');
    expect(values.get('StateDirectory')).toBe('chatsphere');
    expect(unit).toContain('Environment=CHATSPHERE_DATA_DIR=/var/lib/chatsphere');
  });

  it.skipIf(!isThere(ANALYZE) && !mustRun)('is taken by systemd, which finds little that it may do', () => {
    const path = join(REPOSITORY, 'deploy/systemd/chatsphere.service');
    const said = spawnSync(ANALYZE, ['verify', path], { encoding: 'utf8' });
    expect([said.stdout, said.stderr, said.status]).toEqual(['', '', 0]);
    // In tenths; above 20 it ends with 1.
    const args = ['security', '--offline=true', '--threshold=20', '--no-pager', path];
    expect(spawnSync(ANALYZE, args, { encoding: 'utf8' }).status).toBe(0);
  });

  it.skipIf(!isThere(ANALYZE) && !mustRun)('would not be taken with a directive that there is not', () => {
    const folder = mkdtempSync(join(tmpdir(), 'chatsphere-unit-'));
    const path = join(folder, 'chatsphere.service');
    writeFileSync(path, unit.replace('ProtectHome=', 'ProtectHouse='));
    expect(spawnSync(ANALYZE, ['verify', path], { encoding: 'utf8' }).stderr).toContain('ProtectHouse');
    rmSync(folder, { recursive: true });
  });
});
