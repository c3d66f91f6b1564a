import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Standin, startStandin } from '../../../test/openai-standin.ts';
import { readLangChainSettings } from '../../app/langchain-config.ts';
import { createTokenCounter } from '../../llm/index.ts';
import { loadLangChain } from './index.ts';

let folder: string;
let standin: Standin;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'langchain-'));
  standin = await startStandin({ dimensions: 6 });
  const packages = join(folder, 'node_modules');
  await mkdir(join(packages, 'here-alone'), { recursive: true });
  await writeFile(
    join(packages, 'here-alone', 'package.json'),
    '{"name":"here-alone","type":"module","exports":"./i.js"}',
  );
  await writeFile(
    join(packages, 'here-alone', 'i.js'),
    'export class Tiny { embedDocuments(texts) { return Promise.all(texts.map((t) => this.embedQuery(t))); } async embedQuery() { return [0, 2]; } }',
  );
  await writeFile(join(folder, 'needs.mjs'), "import 'not-there-at-all'; export class X {}");
  await writeFile(join(folder, 'picky.mjs'), "export class Picky { constructor() { throw new Error('no key'); } }");
  await writeFile(join(folder, 'broken.mjs'), "throw new Error('boom');");
  await writeFile(
    join(folder, 'commonjs.cjs'),
    'const made = { Old: class Old { embedQuery() {} embedDocuments() {} } }; module.exports = made;',
  );
});
afterAll(async () => {
  await standin.stop();
  await rm(folder, { recursive: true });
});

const KEY = 'sk-very-secret-key';
function settingsOf(config: object) {
  const { settings, faults } = readLangChainSettings(JSON.stringify(config), { MY_KEY: KEY });
  expect(faults).toEqual([]);
  return settings;
}
const faultsOf = async (config: object): Promise<string> =>
  loadLangChain(settingsOf(config), [folder]).then(
    () => 'none',
    (error: Error) => error.message,
  );

describe('classes of LangChain.js by name', () => {
  it('are loaded with their options, and retry nothing themselves', async () => {
    const openAi = { model: 'gpt-test', apiKey: { env: 'MY_KEY' }, configuration: { baseURL: standin.url } };
    const langChain = await loadLangChain(
      settingsOf({
        chat_models: { mine: { module: '@langchain/openai', class: 'ChatOpenAI', options: openAi } },
        embeddings: { mine: { module: '@langchain/openai', class: 'OpenAIEmbeddings', options: openAi, version: '2' } },
      }),
      [folder],
    );
    const model = langChain.createChatModel('mine');
    expect(model.id).toBe('langchain/mine');
    const asked = { messages: [{ role: 'user', content: 'Hi' } as const], grounding: null };
    for await (const _ of model.doStream({ ...asked, temperature: 0.3, topP: 0.9, maxOutputTokens: 50 }, {}));
    expect(standin.requests.at(-1)).toMatchObject({
      authorization: `Bearer ${KEY}`,
      body: { model: 'gpt-test', temperature: 0.3, top_p: 0.9, max_tokens: 50 },
    });
    const before = standin.requests.length;
    standin.settings.nextFaults = ['error_500'];
    const failing = model.doStream(asked, {})[Symbol.asyncIterator]().next();
    await expect(failing).rejects.toMatchObject({ code: 'provider_error' });
    expect(standin.requests).toHaveLength(before + 1);
    const embedder = langChain.createEmbedder('mine', { counter: createTokenCounter() });
    await embedder.start();
    expect(embedder.profile).toMatchObject({ id: 'langchain/mine', dimensions: 6, version: '2' });
    expect(() => langChain.createChatModel('other')).toThrow(expect.objectContaining({ code: 'model_not_found' }));
  });

  it('are found in the folders, from packages and from files', async () => {
    const config = {
      embeddings: {
        package: { module: 'here-alone', class: 'Tiny' },
        file: { module: './commonjs.cjs', class: 'Old' },
      },
      vector_store: { module: '@langchain/core/utils/testing', class: 'FakeVectorStore' },
    };
    const langChain = await loadLangChain(settingsOf(config), [tmpdir(), folder]);
    const embedder = langChain.createEmbedder('package', { counter: createTokenCounter() });
    await embedder.start();
    expect(embedder.profile.dimensions).toBe(2);
    expect(embedder.profile.version).toMatch(/^[0-9a-f]{12}$/);
  });

  it.each<[string, object, RegExp]>([
    ['a package that is not installed', { module: '@langchain/none', class: 'X' }, /npm install @langchain\/none$/m],
    [
      'a part that a package does not have',
      { module: '@langchain/core/none', class: 'X' },
      /has no such part|cannot be loaded/,
    ],
    [
      'a class that is not there',
      { module: '@langchain/openai', class: 'ChatGpt' },
      /no class named "ChatGpt"; .*ChatOpenAI/,
    ],
    ['a member of every object', { module: '@langchain/openai', class: 'constructor' }, /no class named/],
    [
      'something else than a chat model',
      { module: '@langchain/openai', class: 'OpenAIEmbeddings', options: { apiKey: 'k' } },
      /no chat model/,
    ],
    ['options that the class refuses', { module: './picky.mjs', class: 'Picky' }, /Picky refuses its options: no key/],
    ['a file that is not there', { module: './none.mjs', class: 'X' }, /no file "\.\/none\.mjs"/],
    ['a file that needs what is not there', { module: './needs.mjs', class: 'X' }, /npm install not-there-at-all/],
    ['a file that fails', { module: './broken.mjs', class: 'X' }, /cannot be loaded: boom/],
    ['an address', { module: 'https://example.com/x.js', class: 'X' }, /no name of a package/],
    ['inline code', { module: 'data:text/javascript,export class X {}', class: 'X' }, /no name of a package/],
  ])('%s is named as a fault', async (_, part, words) => {
    expect(await faultsOf({ chat_models: { mine: part } })).toMatch(words);
  });

  it('all faults are named at once, without secrets', async () => {
    const message = await faultsOf({
      chat_models: { one: { module: '@langchain/none', class: 'X' }, two: { module: './broken.mjs', class: 'X' } },
      embeddings: {
        three: { module: '@langchain/openai', class: 'ChatOpenAI', options: { apiKey: { env: 'MY_KEY' } } },
      },
      vector_store: { module: '@langchain/openai', class: 'ChatOpenAI' },
    });
    expect(message).toContain('4 fault(s)');
    for (const place of ['chat_models.one', 'chat_models.two', 'embeddings.three', 'vector_store']) {
      expect(message).toContain(`LANGCHAIN_CONFIG: ${place}: `);
    }
    expect(message).not.toContain(KEY);
  });
});
