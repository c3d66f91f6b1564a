import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { AppError } from '../../kernel/index.ts';
import type { WebAnswer, WebClient, WebRequest } from '../../training/index.ts';
import type { ResolvedAddress } from './guarded-connector.ts';
import { createGuardedWebClient, type GuardedWebClientOptions } from './guarded-web-client.ts';
import { isPublicAddress } from './public-address.ts';

const REQUEST = { maxBytes: 100_000, redirects: 'follow', accepts: () => true, admit: async () => {} } as const;
const signal = new AbortController().signal;

/** What a name stands for, in turn: the last entry stays. */
function resolverOf(names: Readonly<Record<string, readonly (readonly string[])[]>>) {
  const turns = new Map<string, number>();
  return async (hostname: string): Promise<readonly ResolvedAddress[]> => {
    const answers = names[hostname] ?? [];
    const turn = turns.get(hostname) ?? 0;
    turns.set(hostname, turn + 1);
    const found = answers[Math.min(turn, answers.length - 1)];
    if (found === undefined) throw Object.assign(new Error('no such name'), { code: 'ENOTFOUND' });
    return found.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
  };
}

describe('the web client', () => {
  let server: Server;
  let port = 0;
  let connections = 0;
  let seen: { readonly path: string; readonly headers: Readonly<Record<string, unknown>> }[] = [];
  let handle: Parameters<typeof createServer>[1] = (_request, response) => void response.end('a page');
  const clients: WebClient[] = [];

  beforeAll(async () => {
    server = createServer((request, response) => {
      seen.push({ path: request.url ?? '', headers: request.headers });
      handle?.(request, response);
    });
    server.on('connection', () => {
      connections += 1;
    });
    await new Promise<void>((resolve) => server.listen(0, resolve));
    ({ port } = server.address() as AddressInfo);
  });
  afterAll(async () => {
    for (const client of clients) await client.stop();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  beforeEach(() => {
    connections = 0;
    seen = [];
    handle = (_request, response) => void response.setHeader('content-type', 'text/html').end('a page');
  });

  function client(options: Partial<GuardedWebClientOptions> = {}): WebClient {
    const made = createGuardedWebClient({ userAgent: 'test', ...options });
    clients.push(made);
    return made;
  }
  /** One that may call this machine. */
  const local = (options: Partial<GuardedWebClientOptions> = {}): WebClient =>
    client({ allowPrivateHosts: [`127.0.0.1:${port}`, 'site.test'], ...options });
  const at = (path: string): string => `http://127.0.0.1:${port}${path}`;
  const get = (web: WebClient, url: string, more: Partial<WebRequest> = {}): Promise<WebAnswer> =>
    web.get({ ...REQUEST, url, ...more }, signal);
  async function bodyOf(answer: WebAnswer): Promise<string> {
    if (answer.type !== 'content') throw new Error(`no content: ${answer.type}`);
    return text(answer.body);
  }
  async function codeOf(work: Promise<unknown>): Promise<string> {
    const error = await work.then(
      () => null,
      (cause: unknown) => cause,
    );
    return error instanceof AppError ? error.code : `no AppError: ${String(error)}`;
  }

  describe('asked for private addresses', () => {
    const refused = ['url_not_allowed', 'url_invalid'];
    /** `P` stands for the port that the server listens on. */
    const FORMS = [
      ...['127.0.0.1', '127.0.0.2', '127.255.255.254', '127.1', '127.0.1', '2130706433', '0x7f000001', '0x7f.1'],
      ...['0177.0.0.1', '0177.0.0.01', '017700000001', '0x7F.0x0.0x0.0x1', '127.0.0.1.', '127.1.', '0x7f.0.0.1.'],
      ...['localhost', 'LOCALHOST', 'localhost.', 'a.localhost', 'localhost.localdomain', 'printer.local', 'intranet'],
      ...['metadata.google.internal', '1.0.0.127.in-addr.arpa', 'ⓛocalhost', 'loc%61lhost', 'router.lan', 'nas.home'],
      ...['１２７.０.０.１', '127。0。0。1', '①②⑦.⓪.⓪.①', '%31%32%37.0.0.1', '127%2e0%2e0%2e1', '127.0.0.1%00'],
      ...[
        '0.0.0.0',
        '0',
        '0x0',
        '00000000000',
        '0.1.2.3',
        '255.255.255.255',
        '224.0.0.1',
        '239.255.255.250',
        '240.0.0.1',
      ],
      ...['10.0.0.1', '172.16.0.1', '172.31.255.254', '192.168.1.1', '3232235777', '169.254.169.254', '0xa9fea9fe'],
      ...['2852039166', '169.254.170.2', '100.64.0.1', '100.100.100.200', '198.18.0.1', '192.0.0.192', '192.0.2.1'],
      ...['198.51.100.1', '203.0.113.1', '168.63.129.16', '192.88.99.1', '[::1]', '[::]', '[0:0:0:0:0:0:0:1]'],
      ...['[::ffff:127.0.0.1]', '[::ffff:7f00:1]', '[0:0:0:0:0:ffff:7f00:0001]', '[::127.0.0.1]', '[::7f00:1]'],
      ...[
        '[::ffff:0:127.0.0.1]',
        '[64:ff9b::127.0.0.1]',
        '[64:ff9b::7f00:1]',
        '[64:ff9b:1::7f00:1]',
        '[2002:7f00:1::]',
      ],
      ...['[2002:7f00:0001::1]', '[2001:0:7f00:1::]', '[2001::7f00:1]', '[fe80::1]', '[fe80::1%25lo]', '[fe80::1%lo]'],
      ...['[fc00::1]', '[fd00:ec2::254]', '[fec0::1]', '[ff02::1]', '[2001:db8::1]', '[100::1]', '[5f00::1]'],
      ...['example.com@127.0.0.1', 'example.com:80@127.0.0.1', '127.0.0.1#@example.com', '127.0.0.1\\@example.com'],
      ...['127.0.0.1;example.com', 'user:password@localhost', '[::1', '127.0.0.1,example.com', ' 127.0.0.1 '],
    ];

    it(`opens no connection for ${FORMS.length * 2} forms of addresses`, async () => {
      expect(FORMS.length).toBeGreaterThan(90);
      const web = client({ resolve: resolverOf({}) });
      const codes = new Map<string, string>();
      for (const host of FORMS) {
        const withPort = /[#\\]/.test(host) ? host.replace(/(?=[#\\])/, `:${port}`) : `${host}:${port}`;
        for (const url of [`http://${withPort}/`, `https://${host}/`]) codes.set(url, await codeOf(get(web, url)));
      }
      expect([...codes].filter(([, code]) => !refused.includes(code))).toEqual([]);
      expect(connections).toBe(0);
    });

    it.each([
      ...['file:///etc/passwd', 'gopher://127.0.0.1:1/', 'ftp://127.0.0.1/', 'data:text/html,hi', 'javascript:1'],
      ...[
        '//127.0.0.1/',
        'http:',
        'http://',
        'http:///',
        '',
        'not an address',
        `http://a.example/${'x'.repeat(3_000)}`,
      ],
      ...['unix:/var/run/docker.sock', 'ws://127.0.0.1/', 'blob:http://127.0.0.1/1', 'http://user@example.com/'],
    ])('refuses %s as it is', async (url) => {
      expect(refused).toContain(await codeOf(get(client({ resolve: resolverOf({}) }), url)));
      expect(connections).toBe(0);
    });

    it.each([
      ...['127.0.0.1', '10.1.2.3', '169.254.169.254', '0.0.0.0', '100.64.1.1', '192.168.0.1', '255.255.255.255'],
      ...['::1', '::', '::ffff:127.0.0.1', '::7f00:1', 'fd00::1', 'fe80::1', 'fe80::1%lo', '2002:7f00:1::1'],
      ...['64:ff9b::7f00:1', 'ff02::1', '168.63.129.16'],
    ])('opens no connection for a name that stands for %s', async (address) => {
      const web = client({ resolve: resolverOf({ 'evil.example': [[address]], 'www.evil.example.': [[address]] }) });
      expect(await codeOf(get(web, `http://evil.example:${port}/`))).toBe('url_not_allowed');
      expect(await codeOf(get(web, `http://www.evil.example.:${port}/`))).toBe('url_not_allowed');
      expect(connections).toBe(0);
    });

    it('does not count the time that a redirect waits for its turn', async () => {
      handle = (request, response) => {
        if (request.url === '/old') response.writeHead(301, { location: '/new' }).end();
        else response.setHeader('content-type', 'text/html').end('the page');
      };
      const total = 100;
      const admit = async (url: URL): Promise<void> => {
        if (url.pathname === '/new') await once(AbortSignal.timeout(total * 2), 'abort');
      };
      const answer = await get(local({ timeouts: { total } }), at('/old'), { admit });
      expect(await bodyOf(answer)).toBe('the page');
    });

    it('opens no connection for a name that stands for a public and a private address', async () => {
      const web = client({ resolve: resolverOf({ 'evil.example': [['93.184.216.34', '127.0.0.1']] }) });
      expect(await codeOf(get(web, `http://evil.example:${port}/`))).toBe('url_not_allowed');
      expect(connections).toBe(0);
    });

    it('looks a name up once for a connection: what was judged is what is called', async () => {
      const answers = ['127.0.0.1', '93.184.216.34'];
      const asked: string[] = [];
      const resolve = async (hostname: string): Promise<readonly ResolvedAddress[]> => {
        asked.push(hostname);
        return [{ address: answers[asked.length - 1] ?? '127.0.0.1', family: 4 }];
      };
      expect(await codeOf(get(client({ resolve }), `http://rebind.example:${port}/`))).toBe('url_not_allowed');
      expect([asked.length, connections]).toEqual([1, 0]);
      asked.length = 0;
      expect(await bodyOf(await get(local({ resolve }), `http://site.test:${port}/`))).toBe('a page');
      expect([asked, connections]).toEqual([['site.test'], 1]);
    });

    it.each([
      ...['http://127.0.0.1:1/', 'http://localhost/', 'http://169.254.169.254/latest/meta-data/', 'http://[::1]/'],
      ...['http://2130706433/', 'file:///etc/passwd', '//10.0.0.1/', 'http://user:secret@site.test/', 'https://0/'],
    ])('does not follow a redirect to %s', async (location) => {
      handle = (_request, response) => void response.writeHead(302, { location }).end();
      expect(refused).toContain(await codeOf(get(local(), at('/start'))));
      expect(seen).toHaveLength(1);
    });

    it('does not follow a redirect to a name that stands for a private address', async () => {
      const web = local({ resolve: resolverOf({ 'site.test': [['127.0.0.1']], 'evil.example': [['127.0.0.1']] }) });
      handle = (_request, response) => void response.writeHead(301, { location: `http://evil.example:${port}/` }).end();
      expect(await codeOf(get(web, `http://site.test:${port}/`))).toBe('url_not_allowed');
      expect([connections, seen.length]).toEqual([1, 1]);
    });

    it('calls public addresses of any spelling only', () => {
      fc.assert(
        fc.property(fc.ipV4(), (address) => {
          const [first = 0, second = 0] = address.split('.').map(Number);
          const isPrivate =
            [0, 10, 127].includes(first) ||
            first >= 224 ||
            (first === 100 && second >= 64 && second < 128) ||
            (first === 169 && second === 254) ||
            (first === 172 && second >= 16 && second < 32) ||
            (first === 192 && second === 168);
          if (isPrivate) expect(isPublicAddress(address)).toBe(false);
          expect(isPublicAddress(`::ffff:${address}`)).toBe(false);
          expect(isPublicAddress(`64:ff9b::${address}`)).toBe(false);
          expect(isPublicAddress(`::${address}`)).toBe(false);
        }),
      );
      for (const address of ['93.184.216.34', '8.8.8.8', '2606:4700:4700::1111', '2a00:1450:4001:80b::200e']) {
        expect(isPublicAddress(address)).toBe(true);
      }
    });

    it.each([1, 22, 25, 79, 110, 445, 3306, 6379, 9200, 27_017])('refuses port %i', async (refusedPort) => {
      const web = client({ resolve: resolverOf({ 'a.example': [['93.184.216.34']] }) });
      expect(await codeOf(get(web, `http://a.example:${refusedPort}/`))).toBe('url_not_allowed');
    });

    it('lets in the hosts that are named, by name, or by name and port', async () => {
      const names = resolverOf({ 'site.test': [['127.0.0.1']], 'other.test': [['127.0.0.1']] });
      const web = client({ resolve: names, allowPrivateHosts: ['site.test'] });
      expect(await bodyOf(await get(web, `http://site.test:${port}/`))).toBe('a page');
      expect(await codeOf(get(web, `http://other.test:${port}/`))).toBe('url_not_allowed');
      const byPort = client({ resolve: names, allowPrivateHosts: [`site.test:${port + 1}`] });
      expect(await codeOf(get(byPort, `http://site.test:${port}/`))).toBe('url_not_allowed');
    });
  });

  describe('asked for pages', () => {
    it('takes the page with what tells its versions apart', async () => {
      handle = (_request, response) =>
        void response
          .writeHead(200, { 'content-type': 'text/html; charset=utf-8', etag: '"1"', 'last-modified': 'yesterday' })
          .end('hello');
      const answer = await get(local(), at('/a?b=1#c'));
      expect(answer).toMatchObject({
        type: 'content',
        mediaType: 'text/html; charset=utf-8',
        etag: '"1"',
        lastModified: 'yesterday',
      });
      expect(await bodyOf(answer)).toBe('hello');
      expect(seen[0]).toMatchObject({ path: '/a?b=1', headers: { 'user-agent': 'test' } });
      expect(seen[0]?.headers).not.toHaveProperty('cookie');
    });

    it('asks whether a known page has changed, of the address that gave it only', async () => {
      handle = (request, response) => {
        if (request.url === '/old') response.writeHead(301, { location: '/new' }).end();
        else if (request.headers['if-none-match'] === '"7"') response.writeHead(304).end();
        else response.writeHead(200, { 'content-type': 'text/plain' }).end('x');
      };
      const known = { url: at('/new'), etag: '"7"', lastModified: 'then' };
      expect(await get(local(), at('/old'), { known })).toEqual({ type: 'not-modified', url: at('/new') });
      expect(seen[0]?.headers).not.toHaveProperty('if-none-match');
      expect(seen[1]?.headers).toMatchObject({ 'if-none-match': '"7"', 'if-modified-since': 'then' });
    });

    it('follows redirects to their end, or tells of the first; a circle ends', async () => {
      handle = (request, response) => {
        if (request.url === '/1') response.writeHead(302, { location: '2#part' }).end();
        else if (request.url === '/2') response.writeHead(308, { location: at('/3') }).end();
        else if (request.url === '/3') response.writeHead(200, { 'content-type': 'text/html' }).end('three');
        else response.writeHead(302, { location: request.url ?? '' }).end();
      };
      const answer = await get(local(), at('/1'));
      expect(answer).toMatchObject({ type: 'content', url: at('/3') });
      expect(await bodyOf(answer)).toBe('three');
      expect(await get(local(), at('/1'), { redirects: 'report' })).toEqual({ type: 'redirect', url: at('/2') });
      seen = [];
      expect(await codeOf(get(local(), at('/circle')))).toBe('fetch_failed');
      expect(seen).toHaveLength(6);
    });

    it.each([
      ['gzip', gzipSync],
      ['deflate', deflateSync],
      ['br', brotliCompressSync],
    ])('unpacks %s, and stops at the limit', async (encoding, pack) => {
      handle = (request, response) =>
        void response
          .writeHead(200, { 'content-type': 'text/html', 'content-encoding': encoding })
          .end(pack(request.url === '/bomb' ? Buffer.alloc(50_000_000) : 'hello'));
      expect(await bodyOf(await get(local(), at('/')))).toBe('hello');
      expect(await codeOf(bodyOf(await get(local(), at('/bomb'))))).toBe('response_too_large');
    });

    it('stops at the limit, announced or not', async () => {
      handle = (request, response) => {
        response.writeHead(200, request.url === '/told' ? { 'content-length': 200_000 } : {});
        response.end(Buffer.alloc(200_000));
      };
      expect(await codeOf(get(local(), at('/told')))).toBe('response_too_large');
      expect(await codeOf(bodyOf(await get(local(), at('/untold'))))).toBe('response_too_large');
    });

    it.each([
      [404, 'page_not_found', false],
      [410, 'page_not_found', false],
      [403, 'fetch_failed', false],
      [429, 'fetch_failed', true],
      [500, 'fetch_failed', true],
      [503, 'fetch_failed', true],
    ])('tells what status %i means', async (status, code, retryable) => {
      handle = (_request, response) => void response.writeHead(status, { 'retry-after': '7' }).end('no');
      const error = await get(local(), at('/')).catch((cause: unknown) => cause);
      expect(error).toMatchObject({ code, retryable });
      if (status === 503) expect(error).toMatchObject({ retryAfterMs: 7_000 });
    });

    it('refuses what is not wanted by its media type', async () => {
      handle = (_request, response) => void response.writeHead(200, { 'content-type': 'Image/PNG; a=b' }).end('png');
      const accepts = (type: string): boolean => type !== 'image/png';
      expect(await codeOf(get(local(), at('/'), { accepts }))).toBe('unsupported_file_type');
    });

    it('ends in time when the headers, the body or the whole take too long', async () => {
      handle = (request, response) => {
        if (request.url === '/silent') return;
        response.writeHead(200, { 'content-type': 'text/html' }).write('begin');
        if (request.url !== '/drip') return;
        const timer = setInterval(() => response.write('.'), 20);
        response.on('close', () => clearInterval(timer));
      };
      const quick = local({ timeouts: { headers: 100, idle: 100, total: 300 } });
      expect(await codeOf(get(quick, at('/silent')))).toBe('fetch_timeout');
      expect(await codeOf(bodyOf(await get(quick, at('/stuck'))))).toBe('fetch_timeout');
      expect(await codeOf(bodyOf(await get(quick, at('/drip'))))).toBe('fetch_timeout');
    });

    it('tells of hosts that do not exist, servers that are not there, and answers that break off', async () => {
      const web = local({ resolve: resolverOf({}) });
      expect(await get(web, 'http://nowhere.example/').catch((error) => error)).toMatchObject({
        code: 'fetch_failed',
        retryable: true,
      });
      handle = (request, response) => {
        if (request.url === '/half') response.writeHead(200, { 'content-length': 100 }).write('half');
        setImmediate(() => response.destroy());
      };
      expect(await codeOf(get(web, at('/')))).toBe('fetch_failed');
      expect(await codeOf(get(web, at('/half')).then(bodyOf))).toBe('fetch_failed');
    });

    it('stops when it is told to', async () => {
      handle = () => {};
      const stopping = new AbortController();
      const reason = new AppError('job_cancelled', 'Stop.');
      const work = local().get({ ...REQUEST, url: at('/') }, stopping.signal);
      setTimeout(() => stopping.abort(reason), 20);
      await expect(work).rejects.toBe(reason);
    });

    it('asks before every address, and takes no for an answer', async () => {
      handle = (_request, response) => void response.writeHead(302, { location: '/secret' }).end();
      const asked: string[] = [];
      const admit = async (url: URL): Promise<void> => {
        asked.push(url.pathname);
        if (url.pathname === '/secret') throw new AppError('robots_disallowed', 'No.');
      };
      expect(await codeOf(get(local(), at('/open'), { admit }))).toBe('robots_disallowed');
      expect(asked).toEqual(['/open', '/secret']);
      expect(seen.map(({ path }) => path)).toEqual(['/open']);
    });
  });
});
