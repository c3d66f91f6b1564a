import { once } from 'node:events';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { refuseConnections } from './http-listening.ts';

const server = createServer((_, response) => void response.setHeader('connection', 'close').end('served'));
afterEach(() => server.closeAllConnections());

describe('a server that closes its port', () => {
  it('serves the connections that the kernel had made before, and refuses later ones', async () => {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const ask = (): Promise<string> =>
      new Promise((resolve) => {
        const asked = request({ port, host: '127.0.0.1', method: 'POST', agent: false }, (response) => {
          response.setEncoding('utf8').on('data', resolve);
        });
        asked.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
        asked.end('a body');
      });
    const waiting = Array.from({ length: 50 }, ask);
    // Connections are begun at the end of this turn; none is taken before the next one.
    await new Promise((resolve) => process.nextTick(resolve));
    await refuseConnections({ http: { server } });
    expect(await ask()).toBe('ECONNREFUSED');
    expect(new Set(await Promise.all(waiting))).toEqual(new Set(['served']));
  });
});
