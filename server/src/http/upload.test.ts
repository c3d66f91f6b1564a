import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ADMIN_KEY, startTestServer, type TestServer } from './test-server.contract.ts';

const BOUNDARY = 'x-test-boundary';
const URL_PATH = '/v1/bots/guide/sources';

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({ limits: { maxUploadBytes: 100_000, bodyBytes: 10_000 } });
  await server.call({ method: 'POST', url: '/v1/bots', json: { name: 'Guide' } });
});
afterAll(() => server.stop());

type Part = {
  readonly name: string;
  readonly value: string | Buffer;
  readonly filename?: string;
  readonly type?: string;
};

const file = (filename: string, value: string | Buffer, type = 'text/markdown'): Part => ({
  name: 'file',
  filename,
  value,
  type,
});
const field = (name: string, value: string): Part => ({ name, value });

function formOf(parts: readonly Part[]): Buffer {
  const pieces = parts.flatMap(({ name, value, filename, type }) => [
    Buffer.from(
      `--${BOUNDARY}\r\ncontent-disposition: form-data; name="${name}"${filename === undefined ? '' : `; filename="${filename}"`}\r\n${type === undefined ? '' : `content-type: ${type}\r\n`}\r\n`,
    ),
    Buffer.from(value),
    Buffer.from('\r\n'),
  ]);
  return Buffer.concat([...pieces, Buffer.from(`--${BOUNDARY}--\r\n`)]);
}

function send(payload: Buffer | string, more: { headers?: Record<string, string>; url?: string; method?: 'PUT' } = {}) {
  const headers = { 'content-type': `multipart/form-data; boundary=${BOUNDARY}`, ...more.headers };
  return server.call({ method: more.method ?? 'POST', url: more.url ?? URL_PATH, payload, headers });
}

describe('an upload', () => {
  it.each([
    ['before the files', (fields: Part[], files: Part[]) => [...fields, ...files]],
    ['after the files', (fields: Part[], files: Part[]) => [...files, ...fields]],
    ['between the files', (fields: Part[], files: Part[]) => [files[0], ...fields, files[1]] as Part[]],
  ])('takes its fields %s', async (_where, order) => {
    const fields = [field('title', 'Two files'), field('external_key', 'k'), field('metadata', '{"lang":"en","n":2}')];
    const files = [file('docs/a.md', '# A'), file('b.txt', 'B', 'text/plain; charset=utf-8')];
    const { status, body } = await send(formOf(order(fields, files)));
    expect([status, body.type, body.title, body.external_key]).toEqual([202, 'file', 'Two files', 'k']);
    expect(body.metadata).toEqual({ lang: 'en', n: 2 });
    const call = server.trained.at(-1);
    expect(call?.files.map(({ name, bytes }) => [name, bytes.toString()])).toEqual([
      ['docs/a.md', '# A'],
      ['b.txt', 'B'],
    ]);
    await server.call({ method: 'DELETE', url: `${URL_PATH}/${body.id}` });
  });

  it('may be put by key, with metadata after the file', async () => {
    const form = formOf([file('a.md', 'text'), field('metadata', '{"v":1}')]);
    const { status, body } = await send(form, { method: 'PUT', url: `${URL_PATH}/by-key/a%2Fb` });
    expect([status, body.external_key]).toEqual([202, 'a/b']);
  });

  it('keeps bytes as they are', async () => {
    const bytes = Buffer.from(Array.from({ length: 50_000 }, (_, index) => (index * 7) % 256));
    await send(formOf([file('data.bin', bytes, 'application/octet-stream')]));
    expect(server.trained.at(-1)?.files[0]?.bytes.equals(bytes)).toBe(true);
  });

  it('has harmless names', async () => {
    await send(
      formOf([file('../../etc/passwd', 'a'), file('a\u0007b.md', 'b'), file('', 'c', 'application/octet-stream')]),
    );
    expect(server.trained.at(-1)?.files.map((entry) => entry.name)).toEqual(['../../etc/passwd', 'ab.md', 'file']);
  });

  it.each([
    ['no file', formOf([field('title', 'T')]), 400, 'invalid_request', 'file'],
    ['an empty form', formOf([]), 400, 'invalid_request', 'file'],
    ['an unknown field', formOf([file('a.md', 'a'), field('tenant_id', 't')]), 400, 'invalid_request', 'tenant_id'],
    [
      'a field twice',
      formOf([file('a.md', 'a'), field('title', 'a'), field('title', 'b')]),
      400,
      'invalid_request',
      'title',
    ],
    ['a file in another field', formOf([{ ...file('a.md', 'a'), name: 'doc' }]), 400, 'invalid_request', 'doc'],
    [
      'metadata that is no JSON',
      formOf([file('a.md', 'a'), field('metadata', '{oops')]),
      400,
      'invalid_json',
      'metadata',
    ],
    [
      'metadata that is no object',
      formOf([file('a.md', 'a'), field('metadata', '[1]')]),
      400,
      'invalid_request',
      'metadata',
    ],
    [
      'nested metadata',
      formOf([file('a.md', 'a'), field('metadata', '{"a":{"b":1}}')]),
      400,
      'invalid_request',
      'metadata.a',
    ],
    ['NUL in a field', formOf([file('a.md', 'a'), field('title', 'a\0b')]), 400, 'invalid_request', 'title'],
    ['a prototype field', formOf([field('__proto__', 'x'), file('a.md', 'a')]), 400, 'invalid_request', null],
    ['an empty title', formOf([file('a.md', 'a'), field('title', '')]), 400, 'invalid_request', 'title'],
    ['a torn end', formOf([file('a.md', 'a')]).subarray(0, -30), 400, 'invalid_request', null],
    ['no parts at all', 'nothing here', 400, 'invalid_request', null],
  ])('with %s is refused, and nothing is kept', async (_name, payload, ...[status, code, param]) => {
    const before = server.trained.length;
    const answer = await send(payload);
    expect([answer.status, answer.body.error.code, answer.body.error.param]).toEqual([status, code, param]);
    expect(server.trained).toHaveLength(before);
  });

  it('without a boundary is refused', async () => {
    const answer = await send(formOf([file('a.md', 'a')]), { headers: { 'content-type': 'multipart/form-data' } });
    expect([answer.status, answer.body.error.type]).toEqual([400, 'invalid_request_error']);
  });

  it('is refused when it is too large, by its header or on the way', async () => {
    const large = Buffer.alloc(60_000, 'x');
    const one = await send(formOf([file('a.txt', Buffer.alloc(120_000, 'x'))]));
    expect([one.status, one.body.error.code]).toEqual([413, 'payload_too_large']);
    const several = await send(formOf([file('a.txt', large), file('b.txt', large)]));
    expect([several.status, several.body.error.code]).toEqual([413, 'payload_too_large']);
    const before = server.trained.length;
    const declared = await send(formOf([file('a.txt', 'x')]), { headers: { 'content-length': '999999999' } });
    expect(declared.status).toBe(413);
    expect(server.trained).toHaveLength(before);
  });

  it('has too many files', async () => {
    const many = Array.from({ length: 1100 }, (_, index) => file(`${index}.md`, 'x'));
    const answer = await send(formOf(many));
    expect([answer.status, answer.body.error.code]).toEqual([413, 'payload_too_large']);
  });

  it('answers, and reads on, when the trainer gives up on its first file', async () => {
    server.beforeTraining = async () => {
      throw new Error('full');
    };
    const answer = await send(formOf([file('a.md', 'a'.repeat(50_000)), file('b.md', 'b'.repeat(40_000))]));
    server.beforeTraining = async () => {};
    expect(answer.status).toBe(500);
  });

  it('is not read by routes that take JSON', async () => {
    const answer = await send(formOf([file('a.md', 'a')]), { url: '/v1/bots' });
    expect([answer.status, answer.body.error.code]).toEqual([415, 'unsupported_media_type']);
  });

  it('is remembered by its idempotency key, and another upload under that key is refused', async () => {
    const headers = { 'idempotency-key': 'upload-1', authorization: `Bearer ${ADMIN_KEY}` };
    const form = formOf([file('idem.md', 'one')]);
    const first = await send(form, { headers });
    const before = server.trained.length;
    const again = await send(form, { headers });
    expect([again.status, again.text, again.headers['idempotency-replayed']]).toEqual([202, first.text, 'true']);
    const other = await send(formOf([file('idem.md', 'two')]), { headers });
    expect([other.status, other.body.error.code]).toEqual([422, 'idempotency_key_reused']);
    expect(server.trained).toHaveLength(before);
  });

  it('that failed does not bind its idempotency key', async () => {
    const headers = { 'idempotency-key': 'upload-2' };
    expect((await send(formOf([field('title', 'x')]), { headers })).status).toBe(400);
    expect((await send(formOf([file('ok.md', 'x')]), { headers })).status).toBe(202);
  });
});
