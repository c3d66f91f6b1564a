import { expect, it } from 'vitest';
import { answerSettingsHash } from './answer-settings.ts';
import { readConfig } from './config.ts';

const USUAL = { OPENAI_API_KEY: 'sk-one', ANTHROPIC_API_KEY: 'sk-ant', CHAT_MODEL: 'openai/gpt-4o' };
const hashOf = (changes: Readonly<Record<string, string>> = {}): string =>
  answerSettingsHash(readConfig({ ...USUAL, ...changes }));

it('is the same for servers that answer alike', () => {
  const reordered = Object.fromEntries(Object.entries(USUAL).reverse());
  expect(answerSettingsHash(readConfig(reordered))).toBe(hashOf());
  expect(hashOf({ OPENAI_API_KEY: 'sk-two,sk-three', PORT: '4000', LOG_LEVEL: 'debug' })).toBe(hashOf());
});

it('is another one when another model, provider or embedder may have a part in answers', () => {
  const LANGCHAIN_CONFIG = (temperature: number) =>
    JSON.stringify({
      chat_models: { own: { module: '@langchain/openai', class: 'ChatOpenAI', options: { temperature } } },
    });
  const changed: readonly Readonly<Record<string, string>>[] = [
    {},
    { CHAT_MODEL: 'openai/gpt-4o-mini' },
    { CHAT_MODEL_FALLBACKS: 'openai/gpt-4o-mini' },
    { CHAT_MODEL_CHEAPER: 'openai/gpt-4o-mini' },
    { CHAT_MODEL_FALLBACKS: 'openai/gpt-4o-mini,openai/gpt-4.1' },
    { CHAT_MODEL_FALLBACKS: 'openai/gpt-4.1,openai/gpt-4o-mini' },
    { OPENAI_BASE_URL: 'http://127.0.0.1:8000/v1' },
    { PROVIDER_OWN_BASE_URL: 'http://127.0.0.1:8000/v1' },
    { PROVIDER_OWN_BASE_URL: 'http://127.0.0.1:8000/v1', PROVIDER_OWN_KIND: 'ollama' },
    { EMBEDDING_MODEL: 'local/static-en' },
    { EMBEDDING_MODEL: 'local/static-en', EMBEDDING_FOLLOWER: 'off' },
    { EMBEDDING_DIMENSIONS: '256' },
    { LANGCHAIN_CONFIG: LANGCHAIN_CONFIG(0) },
    { LANGCHAIN_CONFIG: LANGCHAIN_CONFIG(1) },
  ];
  expect(new Set(changed.map(hashOf)).size).toBe(changed.length);
});
