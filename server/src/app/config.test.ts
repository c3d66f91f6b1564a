import { describe, expect, it } from 'vitest';
import { AppError } from '../kernel/index.ts';
import { readConfig } from './config.ts';

describe('config', () => {
  it('needs nothing: one process, no key, the extractive model and the local embedder', () => {
    const config = readConfig({});
    expect(config).toMatchObject({
      host: '127.0.0.1',
      port: 3000,
      chatModel: { provider: 'chatsphere', model: 'extractive' },
      embeddingModel: { provider: 'local', model: 'static-en' },
      deadlines: { connectMs: 5000, firstTokenMs: 20_000, idleTokenMs: 15_000, totalMs: 120_000 },
      maxUploadBytes: 104_857_600,
    });
    expect(Object.isFrozen(config)).toBe(true);
  });

  it('takes the provider when there is a key, and empty values as unset', () => {
    expect(readConfig({ OPENAI_API_KEY: 'sk-one, sk-two', OPENAI_BASE_URL: ' ' })).toMatchObject({
      chatModel: { provider: 'openai', model: 'gpt-4o-mini' },
      embeddingModel: { provider: 'openai', model: 'text-embedding-3-small' },
      openAi: { apiKey: 'sk-one', baseUrl: 'https://api.openai.com/v1' },
    });
  });

  it('keeps the local embedder for a server that needs no key', () => {
    expect(readConfig({ OPENAI_BASE_URL: 'http://127.0.0.1:11434/v1/', CHAT_MODEL: 'llama3' })).toMatchObject({
      chatModel: { provider: 'openai', model: 'llama3' },
      embeddingModel: { provider: 'local', model: 'static-en' },
      openAi: { apiKey: null, baseUrl: 'http://127.0.0.1:11434/v1' },
    });
  });

  it('lets the model follow the word table, and nothing else', () => {
    const follower = { provider: 'local', model: 'use-lite' };
    expect(readConfig({})).toMatchObject({ embeddingFollower: follower });
    expect(readConfig({ EMBEDDING_FOLLOWER: 'local/use-lite' })).toMatchObject({ embeddingFollower: follower });
    expect(readConfig({ EMBEDDING_FOLLOWER: 'off' }).embeddingFollower).toBeNull();
    expect(readConfig({ EMBEDDING_MODEL: 'local/use-lite' }).embeddingFollower).toBeNull();
    expect(readConfig({ OPENAI_API_KEY: 'sk-x' }).embeddingFollower).toBeNull();
  });

  it('takes several keys, models to fall back on and the time of a second call', () => {
    const settings = {
      OPENAI_API_KEY: 'sk-one, sk-two,,sk-one',
      CHAT_MODEL_FALLBACKS: 'openai/gpt-4o-mini, gpt-4.1-nano,chatsphere/extractive',
    };
    expect(readConfig({ ...settings, LLM_HEDGE_AFTER_MS: 'p95' })).toMatchObject({
      openAi: { apiKey: 'sk-one', apiKeys: ['sk-one', 'sk-two'] },
      chatModelFallbacks: [
        { provider: 'openai', model: 'gpt-4o-mini' },
        { provider: 'openai', model: 'gpt-4.1-nano' },
        { provider: 'chatsphere', model: 'extractive' },
      ],
      hedgeAfter: 'p95',
      warnings: [],
    });
    expect(readConfig({}).hedgeAfter).toBeNull();
    expect(readConfig({ LLM_HEDGE_AFTER_MS: '800' }).hedgeAfter).toBe(800);
  });

  it('names every fault at once and no secret', () => {
    const faulty = {
      PORT: 'eighty',
      LOG_LEVEL: 'loud',
      CHATSPHERE_ADMIN_KEY: 'hunter2',
      DATABASE_URL: 'postgres://u:pass@h/d',
    };
    const error = catchError(() => readConfig(faulty));
    expect(error).toBeInstanceOf(AppError);
    expect(error).toMatchObject({ code: 'configuration_invalid' });
    for (const name of Object.keys(faulty)) expect(String(error)).toContain(name);
    expect(String(error)).not.toMatch(/hunter2|pass@/);
  });

  it.each([
    [{ CHAT_MODEL: 'acme/llm', OPENAI_API_KEY: 'sk-x' }, 'CHAT_MODEL'],
    [{ CHAT_MODEL_FALLBACKS: 'acme/llm', OPENAI_API_KEY: 'sk-x' }, 'CHAT_MODEL_FALLBACKS'],
    [{ CHAT_MODEL_FALLBACKS: 'openai/gpt-4o' }, 'CHAT_MODEL_FALLBACKS'],
    [{ LLM_HEDGE_AFTER_MS: 'soon' }, 'LLM_HEDGE_AFTER_MS'],
    [{ CHAT_MODEL: 'gpt-4o' }, 'OPENAI_API_KEY'],
    [{ EMBEDDING_MODEL: 'local/bert' }, 'EMBEDDING_MODEL'],
    [{ EMBEDDING_FOLLOWER: 'openai/x' }, 'EMBEDDING_FOLLOWER'],
    [{ EMBEDDING_FOLLOWER: 'local/use-lite', EMBEDDING_MODEL: 'local/use-lite' }, 'EMBEDDING_FOLLOWER'],
    [{ VECTOR_STORE: 'pinecone' }, 'VECTOR_STORE'],
    [{ OPENAI_BASE_URL: 'ftp://x' }, 'OPENAI_BASE_URL'],
  ])('refuses %o', (environment, name) => {
    expect(String(catchError(() => readConfig(environment)))).toContain(name);
  });

  it('says which settings have no effect yet', () => {
    expect(readConfig({ OLLAMA_BASE_URL: 'http://127.0.0.1:1' }).warnings).toEqual([
      'OLLAMA_BASE_URL is set but has no effect in this version.',
    ]);
  });
});

function catchError(act: () => unknown): unknown {
  try {
    act();
  } catch (error) {
    return error;
  }
  throw new Error('nothing was thrown');
}
