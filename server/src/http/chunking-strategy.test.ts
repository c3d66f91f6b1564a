import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestServer, type TestServer } from './test-server.contract.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.stop());

const post = (url: string, json: object) => server.call({ method: 'POST', url, json });
const STATIC = { type: 'static', static: { max_chunk_size_tokens: 600, chunk_overlap_tokens: 100 } };
const LANGCHAIN = {
  type: 'langchain',
  langchain: {
    module: '@langchain/textsplitters',
    class: 'RecursiveCharacterTextSplitter',
    options: { chunkSize: 400, chunkOverlap: 50, separators: ['\n\n', ' '] },
  },
};

describe('chunking_strategy', () => {
  it('of a bot is auto, until it is set, and again when it is set to null', async () => {
    const created = await post('/v1/bots', { name: 'Cut', slug: 'cut' });
    expect(created.body.chunking_strategy).toEqual({ type: 'auto' });
    const patch = (chunking_strategy: unknown) =>
      server.call({ method: 'PATCH', url: '/v1/bots/cut', json: { chunking_strategy } });
    expect((await patch(STATIC)).body.chunking_strategy).toEqual(STATIC);
    expect((await patch(LANGCHAIN)).body.chunking_strategy).toEqual(LANGCHAIN);
    const read = await server.call({ method: 'GET', url: '/v1/bots/cut' });
    expect(read.body.chunking_strategy).toEqual(LANGCHAIN);
    expect((await patch(null)).body.chunking_strategy).toEqual({ type: 'auto' });
    const other = await post('/v1/bots', { name: 'Cut', slug: 'cut-2', chunking_strategy: { type: 'static' } });
    expect(other.body.chunking_strategy.static).toEqual({ max_chunk_size_tokens: 800, chunk_overlap_tokens: 400 });
  });

  it('of a source is kept with it, as JSON and in a form', async () => {
    await post('/v1/bots', { name: 'Sources', slug: 'sources' });
    const note = { type: 'text', title: 'T', content: 'words', chunking_strategy: STATIC };
    expect((await post('/v1/bots/sources/sources', note)).status).toBe(202);
    expect(server.trained.at(-1)?.options).toMatchObject({
      chunking: { type: 'static', maxChunkSizeTokens: 600, chunkOverlapTokens: 100 },
    });
    const parts = [
      '--x\r\ncontent-disposition: form-data; name="file"; filename="a.md"\r\n\r\nwords\r\n',
      `--x\r\ncontent-disposition: form-data; name="chunking_strategy"\r\n\r\n${JSON.stringify(LANGCHAIN)}\r\n--x--\r\n`,
    ];
    const { status } = await server.call({
      method: 'POST',
      url: '/v1/bots/sources/sources',
      payload: parts.join(''),
      headers: { 'content-type': 'multipart/form-data; boundary=x' },
    });
    expect(status).toBe(202);
    expect(server.trained.at(-1)?.options).toMatchObject({
      chunking: { type: 'langchain', className: 'RecursiveCharacterTextSplitter' },
    });
  });

  it('is refused when its package has no such class, wherever it is given', async () => {
    await post('/v1/bots', { name: 'Check', slug: 'check' });
    const chunking_strategy = { ...LANGCHAIN, langchain: { ...LANGCHAIN.langchain, class: 'NoSplitter' } };
    const note = { type: 'text', title: 'T', content: 'words', chunking_strategy };
    const form = `--x\r\ncontent-disposition: form-data; name="file"; filename="a.md"\r\n\r\nwords\r\n--x\r\ncontent-disposition: form-data; name="chunking_strategy"\r\n\r\n${JSON.stringify(chunking_strategy)}\r\n--x--\r\n`;
    const answers = [
      await post('/v1/bots', { name: 'No', chunking_strategy }),
      await server.call({ method: 'PATCH', url: '/v1/bots/check', json: { chunking_strategy } }),
      await post('/v1/bots/check/sources', note),
      await server.call({ method: 'PUT', url: '/v1/bots/check/sources/by-key/k', json: note }),
      await server.call({
        method: 'POST',
        url: '/v1/bots/check/sources',
        payload: form,
        headers: { 'content-type': 'multipart/form-data; boundary=x' },
      }),
    ];
    for (const { status, body } of answers) {
      expect([status, body.error.code, body.error.param]).toEqual([
        400,
        'invalid_request',
        'chunking_strategy.langchain.class',
      ]);
      expect(body.error.message).toContain('no text splitter named "NoSplitter"');
    }
  });

  it.each<[string, object]>([
    ['an unknown type', { type: 'magic' }],
    ['an overlap above half', { type: 'static', static: { max_chunk_size_tokens: 200, chunk_overlap_tokens: 101 } }],
    ['too small a size', { type: 'static', static: { max_chunk_size_tokens: 99, chunk_overlap_tokens: 0 } }],
    ['a package that is not allowed', { type: 'langchain', langchain: { module: 'node:fs', class: 'X' } }],
    ['a splitter that downloads', { type: 'langchain', langchain: { class: 'TokenTextSplitter' } }],
    ['tiny pieces', { type: 'langchain', langchain: { class: 'X', options: { chunkSize: 1, chunkOverlap: 0 } } }],
    ['code for a class', { type: 'langchain', langchain: { class: 'a.b' } }],
  ])('is refused: %s', async (_, chunking_strategy) => {
    const { status, body } = await post('/v1/bots', { name: 'No', chunking_strategy });
    expect([status, body.error.code]).toEqual([400, 'invalid_request']);
    expect(body.error.param).toMatch(/^chunking_strategy/);
  });
});
