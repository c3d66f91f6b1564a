import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type BuiltServer, callServer, jobEnded, runBuiltCli, startBuiltServer } from './built-server.ts';
import { type Standin, startStandin } from './openai-standin.ts';

const KEY = 'sk-of-the-provider';

/** Everything of LangChain.js at once: chat model, embeddings and a vector store that keeps nothing. */
function environmentFor(standin: Standin): Record<string, string> {
  const options = { apiKey: { env: 'PROVIDER_KEY' }, configuration: { baseURL: standin.url } };
  return {
    PROVIDER_KEY: KEY,
    CHAT_MODEL: 'langchain/mine',
    EMBEDDING_MODEL: 'langchain/mine',
    VECTOR_STORE: 'langchain',
    LANGCHAIN_CONFIG: JSON.stringify({
      chat_models: {
        mine: { module: '@langchain/openai', class: 'ChatOpenAI', options: { ...options, model: 'gpt-test' } },
        other: {
          module: '@langchain/core/utils/testing',
          class: 'FakeListChatModel',
          options: { responses: ['Other.'] },
        },
      },
      embeddings: {
        mine: { module: '@langchain/openai', class: 'OpenAIEmbeddings', options: { ...options, model: 'emb-test' } },
      },
      vector_store: { module: '@langchain/core/utils/testing', class: 'FakeVectorStore' },
    }),
  };
}

describe('a server on LangChain.js', () => {
  let standin: Standin;
  let server: BuiltServer;
  let dataFolder = '';
  beforeAll(async () => {
    standin = await startStandin({ dimensions: 16, apiKey: KEY, tokens: ['It opens', ' at 9:15', ' on Sundays [1].'] });
    dataFolder = await mkdtemp(join(tmpdir(), 'chatsphere-langchain-'));
    server = await startBuiltServer({ env: environmentFor(standin), dataFolder });
    // Its documentation would still be trained when the server starts again.
    await callServer(server, { method: 'DELETE', path: '/v1/bots/demo' });
    await callServer(server, { path: '/v1/bots', json: { name: 'Bakery', slug: 'bakery' } });
    const { body } = await callServer(server, {
      path: '/v1/bots/bakery/sources',
      json: { type: 'text', title: 'Hours', content: 'On Sundays the bakery opens at 9:15 and closes at noon.' },
    });
    await jobEnded(server, String(body['job_id']));
  });
  afterAll(async () => {
    await server.stop();
    await standin.stop();
    await rm(dataFolder, { recursive: true });
  });

  const ask = (from: BuiltServer, model = 'bakery') =>
    callServer(from, {
      path: '/v1/chat/completions',
      json: { model, messages: [{ role: 'user', content: 'When does the bakery open on Sundays?' }] },
    });
  const search = (from: BuiltServer) =>
    callServer(from, { path: '/v1/bots/bakery/search', json: { query: 'Sundays opening hours' } });

  it('trains, searches and answers', async () => {
    const { body } = await ask(server);
    expect(body).toMatchObject({
      choices: [
        {
          message: {
            content: 'It opens at 9:15 on Sundays [1].',
            chatsphere: { served_by: 'langchain/mine', citations: [{ title: 'Hours' }] },
          },
          finish_reason: 'stop',
        },
      ],
    });
    const found = (await search(server)).body['data'] as { scores: { dense: number } }[];
    expect(found[0]?.scores.dense).toEqual(expect.any(Number));
    expect(standin.requests.every(({ authorization }) => authorization === `Bearer ${KEY}`)).toBe(true);
  });

  it('serves a bot that names another of the configured models, and refuses one that is not configured', async () => {
    await callServer(server, { path: '/v1/bots', json: { name: 'Two', slug: 'two', model: 'langchain/other' } });
    expect((await ask(server, 'two')).body).toMatchObject({ choices: [{ message: { content: 'Other.' } }] });
    const refused = await callServer(server, { path: '/v1/bots', json: { name: 'No', model: 'langchain/none' } });
    expect([refused.status, refused.body['error']]).toMatchObject([404, { code: 'model_not_found', param: 'model' }]);
  });

  it('names every fault at start and what to do', async () => {
    const { code, stderr } = await runBuiltCli(['serve', '--port', '0'], {
      env: {
        CHATSPHERE_DATA_DIR: join(dataFolder, 'faults'),
        LANGCHAIN_CONFIG: JSON.stringify({
          chat_models: {
            one: { module: '@langchain/not-there', class: 'X' },
            two: { module: '@langchain/core/utils/testing', class: 'FakeVectorStore' },
            three: { module: '@langchain/core/nothing', class: 'X' },
          },
        }),
      },
    });
    expect(code).not.toBe(0);
    expect(stderr).toContain(
      'chat_models.one: the package "@langchain/not-there" is not installed. Install it: npm install @langchain/not-there',
    );
    expect(stderr).toContain('chat_models.two: FakeVectorStore');
    expect(stderr).toContain(
      'chat_models.three: the package of "@langchain/core/nothing" is installed, but has no such part',
    );
  });

  it('finds the same after a restart, although its store keeps nothing, and embeds nothing again', async () => {
    const before = (await search(server)).body;
    await server.stop();
    const calls = standin.requests.length;
    server = await startBuiltServer({ env: environmentFor(standin), dataFolder });
    expect((await search(server)).body).toEqual(before);
    const embedded = standin.requests.slice(calls).flatMap(({ body }) => body['input'] as string[]);
    // Its width is learnt at each start; content is not embedded.
    expect(embedded).toEqual(['width', 'Sundays opening hours']);
  }, 60_000);
});
