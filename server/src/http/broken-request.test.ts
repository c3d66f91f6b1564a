import { type AddressInfo, connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestServer, type TestServer } from './test-server.contract.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
  await server.app.listen({ port: 0, host: '127.0.0.1' });
});
afterAll(() => server.stop());

/** What comes back for these bytes until the server closes the line. */
function send(bytes: string): Promise<string> {
  const { port } = server.app.server.address() as AddressInfo;
  return new Promise((resolve) => {
    const line = connect(port, '127.0.0.1', () => line.write(bytes));
    let answer = '';
    line.on('data', (data) => {
      answer += data.toString();
    });
    line.on('close', () => resolve(answer));
    // The server may close while bytes are still on their way to it.
    line.on('error', () => {});
  });
}

describe('a request that is no request', () => {
  it.each([
    ['no HTTP', 'HELLO\r\n\r\n', 400],
    ['two lengths', 'POST /v1/bots HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab', 400],
    [
      'a length and chunks',
      'POST /v1/bots HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
      400,
    ],
    ['a line end in a header', 'GET / HTTP/1.1\r\nhost: x\r\nx-request-id: a\nb\u0000: c\r\n\r\n', 400],
    ['a header without end', `GET / HTTP/1.1\r\nhost: x\r\nx-y: ${'z'.repeat(20_000)}\r\n\r\n`, 431],
  ])('with %s is answered in the shape of errors, and the line is closed', async (_what, bytes, status) => {
    const answer = await send(bytes);
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    const body = JSON.parse(answer.slice(answer.indexOf('\r\n\r\n')));
    expect(body.error).toMatchObject({ code: 'invalid_request', request_id: expect.stringMatching(/^req_/) });
  });
});
