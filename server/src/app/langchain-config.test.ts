import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readConfig } from './config.ts';
import { readLangChainSettings } from './langchain-config.ts';

const CHAT = { module: '@langchain/openai', class: 'ChatOpenAI' };
const CONFIG = JSON.stringify({
  chat_models: {
    mine: { ...CHAT, options: { apiKey: { env: 'MY_KEY' }, list: [{ env: 'OTHER' }, 1], deep: { a: null } } },
  },
});

function faultsOf(environment: Record<string, string>): string {
  try {
    readConfig(environment);
    return 'none';
  } catch (error) {
    return (error as Error).message;
  }
}

describe('LANGCHAIN_CONFIG', () => {
  it('is JSON or a file of it, with values from the environment', async () => {
    const environment = { MY_KEY: 'secret-one', OTHER: 'secret-two' };
    const { settings } = readLangChainSettings(CONFIG, environment);
    expect(settings.chatModels.get('mine')).toMatchObject({
      module: '@langchain/openai',
      className: 'ChatOpenAI',
      options: { apiKey: 'secret-one', list: ['secret-two', 1], deep: { a: null } },
    });
    expect(settings.secrets).toEqual(['secret-one', 'secret-two']);
    const folder = await mkdtemp(join(tmpdir(), 'langchain-config-'));
    await writeFile(join(folder, 'langchain.json'), CONFIG);
    expect(readLangChainSettings(join(folder, 'langchain.json'), environment).settings).toEqual(settings);
    await rm(folder, { recursive: true });
    expect(readLangChainSettings(undefined, {}).settings.chatModels.size).toBe(0);
  });

  it('gives embeddings a version that changes with what they are made of, not with a key', () => {
    const versionOf = (options: object, environment: Record<string, string> = { K: 'a' }) =>
      readLangChainSettings(
        JSON.stringify({ embeddings: { e: { ...CHAT, options } } }),
        environment,
      ).settings.embeddings.get('e')?.version;
    expect(versionOf({ model: 'a', key: { env: 'K' } })).toBe(versionOf({ model: 'a', key: { env: 'K' } }, { K: 'b' }));
    expect(versionOf({ model: 'a' })).not.toBe(versionOf({ model: 'b' }));
  });

  it.each([
    ['{', 'is no valid JSON'],
    ['/no/such/file.json', 'cannot be read'],
    ['{"chat_model":{}}', 'chat_model'],
    ['{"chat_models":{"mine":{"module":"x"}}}', 'chat_models.mine.class'],
    ['{"chat_models":{"a b":{"module":"x","class":"X"}}}', 'chat_models'],
    [
      '{"chat_models":{"mine":{"module":"x","class":"X","options":{"apiKey":{"env":"NOT_SET"}}}}}',
      'no NOT_SET; set it',
    ],
  ])('%s is refused', (text, words) => {
    expect(faultsOf({ LANGCHAIN_CONFIG: text })).toContain(words);
    expect(faultsOf({ LANGCHAIN_CONFIG: text })).toContain('LANGCHAIN_CONFIG');
  });

  it('is asked for what models and store are named', () => {
    const named = { CHAT_MODEL: 'langchain/x', EMBEDDING_MODEL: 'langchain/y', VECTOR_STORE: 'langchain' };
    const message = faultsOf(named);
    expect(message).toContain('3 fault(s)');
    expect(message).toContain('chat_models.x');
    expect(message).toContain('embeddings.y');
    expect(message).toContain('vector_store');
    const config = readConfig({ CHAT_MODEL: 'langchain/mine', LANGCHAIN_CONFIG: CONFIG, MY_KEY: 'k', OTHER: 'o' });
    expect(config).toMatchObject({ chatModel: { provider: 'langchain', model: 'mine' }, vectorStore: 'embedded' });
  });
});
