import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ProviderHttp } from '../../llm/index.ts';
import { createProviderHttp } from '../provider-http/index.ts';
import { findOllamaModels } from './find-models.ts';

const LONG_MS = 60_000;

describe('looking for an Ollama', () => {
  let server: Server;
  let http: ProviderHttp;
  let answer: (response: ServerResponse) => void;
  let asked: (string | undefined)[];
  beforeEach(async () => {
    asked = [];
    http = createProviderHttp();
    server = createServer((request, response) => {
      asked.push(request.url, request.headers.authorization);
      answer(response);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });
  afterEach(async () => {
    await http.stop();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  const find = (withinMs = LONG_MS) =>
    findOllamaModels({ http, baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, withinMs });
  const sends =
    (body: unknown, status = 200) =>
    (response: ServerResponse) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));

  it('finds the models that can talk, in their order', async () => {
    answer = sends({
      models: [
        { name: 'nomic-embed-text:latest', details: { families: ['nomic-bert'] } },
        { name: 'llama3.2:3b', details: { families: ['llama'] } },
        { name: 'all-minilm:22m' },
        { name: 'bge-m3:567m' },
        { name: '' },
        { name: 'hf.co/org/qwen3:8b', details: null },
      ],
    });
    expect(await find()).toEqual(['llama3.2:3b', 'hf.co/org/qwen3:8b']);
    expect(asked).toEqual(['/api/tags', undefined]);
  });

  it('tells that there is one without models', async () => {
    answer = sends({ models: [] });
    expect(await find()).toEqual([]);
  });

  it.each<[string, (response: ServerResponse) => void]>([
    ['refuses', sends({ models: [{ name: 'llama3' }] }, 401)],
    ['is something else', sends({ hello: 'world' })],
    ['speaks no JSON', (response) => response.end('<html>')],
    ['hangs up', (response) => response.socket?.resetAndDestroy()],
  ])('finds none where the server %s', async (_name, does) => {
    answer = does;
    expect(await find()).toBeNull();
  });

  it.each<[string, (response: ServerResponse) => void]>([
    ['before a byte', () => {}],
    ['after the head', (response) => response.writeHead(200).flushHeaders()],
  ])('gives up a server that hangs %s', async (_name, does) => {
    answer = does;
    expect(await find(30)).toBeNull();
  });

  it('finds none where nobody listens', async () => {
    const { port } = server.address() as AddressInfo;
    await new Promise((resolve) => server.close(resolve));
    expect(await findOllamaModels({ http, baseUrl: `http://127.0.0.1:${port}`, withinMs: LONG_MS })).toBeNull();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });
});
