import { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startTestServer, type TestServer } from './test-server.contract.ts';

describe('a bot as one file', () => {
  let server: TestServer;
  beforeEach(async () => {
    server = await startTestServer();
    await server.call({ method: 'POST', url: '/v1/bots', json: { name: 'Helper', instructions: 'Be kind.' } });
  });
  afterEach(() => server.stop());

  async function exported(): Promise<Buffer> {
    const answer = await server.app.inject({
      url: '/v1/bots/helper/export',
      headers: { authorization: `Bearer ${await server.key(['bots:read', 'sources:read'])}` },
    });
    expect(answer.statusCode).toBe(200);
    expect(answer.headers['content-disposition']).toContain('helper.chatsphere.gz');
    return answer.rawPayload;
  }
  async function importOf(payload: Buffer, type: string, query = '') {
    const answer = await server.app.inject({
      method: 'POST',
      url: `/v1/bots/import${query}`,
      headers: { authorization: `Bearer ${await server.key(['bots:write', 'sources:write'])}`, 'content-type': type },
      payload,
    });
    return { status: answer.statusCode, body: answer.json() };
  }

  it('comes in as it went out: raw, or as a form', async () => {
    const file = await exported();
    expect(await importOf(file, 'application/gzip', '?slug=copy&name=Copy')).toMatchObject({
      status: 201,
      body: { object: 'bot', slug: 'copy', name: 'Copy', instructions: 'Be kind.', imported: { sources: 0 } },
    });
    const form = Buffer.concat([
      Buffer.from(
        '--b\r\ncontent-disposition: form-data; name="file"; filename="x.gz"\r\ncontent-type: application/gzip\r\n\r\n',
      ),
      file,
      Buffer.from('\r\n--b--\r\n'),
    ]);
    expect(await importOf(form, 'multipart/form-data; boundary=b')).toMatchObject({
      status: 201,
      body: { slug: 'helper-2' },
    });
  });

  it('stops reading a bundle that is larger than may be sent', async () => {
    const small = await startTestServer({ limits: { maxUploadBytes: 1_000, bodyBytes: 1_000 } });
    const answer = await small.app.inject({
      method: 'POST',
      url: '/v1/bots/import',
      headers: {
        authorization: `Bearer ${await small.key(['bots:write', 'sources:write'])}`,
        'content-type': 'application/gzip',
      },
      payload: Readable.from(Array.from({ length: 20 }, () => Buffer.alloc(10_000))),
    });
    expect([answer.statusCode, answer.json().error.code]).toEqual([413, 'payload_too_large']);
    await small.stop();
  });

  it('says what is wrong with anything else', async () => {
    const file = await exported();
    expect(await importOf(Buffer.from('hello'), 'application/octet-stream')).toMatchObject({
      status: 422,
      body: { error: { code: 'bundle_invalid' } },
    });
    expect(await importOf(file, 'application/gzip', '?slug=helper')).toMatchObject({
      status: 409,
      body: { error: { code: 'slug_taken' } },
    });
    expect(await importOf(file, 'text/plain')).toMatchObject({ status: 415 });
    expect(await importOf(Buffer.from('{}'), 'application/json')).toMatchObject({ status: 400 });
    expect((await server.call({ url: '/v1/bots/nobody/export' })).status).toBe(404);
    expect((await server.call({ url: '/v1/bots' })).body.data).toHaveLength(1);
  });
});
