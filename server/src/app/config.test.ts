import { describe, expect, it } from 'vitest';
import { AppError } from '../kernel/index.ts';
import { readConfig } from './config.ts';
import { redisSecrets } from './redis-config.ts';

const POSTGRES = { DATABASE_URL: 'postgres://u:pass@h/d', CHATSPHERE_SECRET: 's'.repeat(32) };

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
    });
    expect(readConfig({ OPENAI_API_KEY: 'sk-one, sk-two' }).providers.get('openai')).toMatchObject({
      apiKeys: ['sk-one', 'sk-two'],
      baseUrl: 'https://api.openai.com/v1',
    });
  });

  it('keeps the local embedder for a server that needs no key', () => {
    expect(readConfig({ OPENAI_BASE_URL: 'http://127.0.0.1:11434/v1/', CHAT_MODEL: 'llama3' })).toMatchObject({
      chatModel: { provider: 'openai', model: 'llama3' },
      embeddingModel: { provider: 'local', model: 'static-en' },
      providers: new Map([
        [
          'openai',
          { name: 'openai', kind: 'openai', baseUrl: 'http://127.0.0.1:11434/v1', apiKeys: [], apiVersion: null },
        ],
      ]),
    });
  });

  it.each([
    [{ ANTHROPIC_API_KEY: 'sk-ant-x' }, 'anthropic/claude-haiku-4-5'],
    [{ OPENROUTER_API_KEY: 'sk-or-x' }, 'openrouter/openai/gpt-4o-mini'],
    [{ ANTHROPIC_API_KEY: 'sk-ant-x', CHAT_MODEL: 'claude-opus-4-1' }, 'anthropic/claude-opus-4-1'],
    [{ PROVIDER_MY_VLLM_BASE_URL: 'http://10.0.0.5:8000/v1', CHAT_MODEL: 'my-vllm/qwen/3' }, 'my-vllm/qwen/3'],
    [
      { AZURE_OPENAI_API_KEY: 'k', AZURE_OPENAI_ENDPOINT: 'https://x.openai.azure.com', CHAT_MODEL: 'gpt4o' },
      'azure/gpt4o',
    ],
    [{ OPENAI_API_KEY: 'sk-x', ANTHROPIC_API_KEY: 'sk-ant-x' }, 'openai/gpt-4o-mini'],
  ])('chooses the model of %o', (environment, id) => {
    const { chatModel, findsOllama } = readConfig(environment);
    expect(`${chatModel.provider}/${chatModel.model}`).toBe(id);
    expect(findsOllama).toBe(false);
  });

  it('looks for an Ollama when nothing else was chosen, unless it is told not to', () => {
    expect(readConfig({}).findsOllama).toBe(true);
    expect(readConfig({ OLLAMA_BASE_URL: 'http://10.0.0.5:11434/v1/' })).toMatchObject({ findsOllama: true });
    expect(readConfig({ OLLAMA_BASE_URL: 'off' })).toMatchObject({ findsOllama: false, providers: new Map() });
    expect(readConfig({ CHAT_MODEL: 'chatsphere/extractive' }).findsOllama).toBe(false);
    expect(readConfig({ OPENAI_API_KEY: 'sk-x', OLLAMA_BASE_URL: 'http://10.0.0.5:11434' }).findsOllama).toBe(false);
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
      CHAT_MODEL_CHEAPER: 'gpt-4.1-nano',
    };
    expect(readConfig({ ...settings, LLM_HEDGE_AFTER_MS: 'p95' })).toMatchObject({
      chatModelFallbacks: [
        { provider: 'openai', model: 'gpt-4o-mini' },
        { provider: 'openai', model: 'gpt-4.1-nano' },
        { provider: 'chatsphere', model: 'extractive' },
      ],
      chatModelCheaper: [{ provider: 'openai', model: 'gpt-4.1-nano' }],
      hedgeAfter: 'p95',
      warnings: [],
    });
    expect(readConfig(settings).providers.get('openai')?.apiKeys).toEqual(['sk-one', 'sk-two']);
    expect(readConfig({}).hedgeAfter).toBeNull();
    expect(readConfig({ LLM_HEDGE_AFTER_MS: '800' }).hedgeAfter).toBe(800);
  });

  it('names every fault at once and no secret', () => {
    const faulty = {
      PORT: 'eighty',
      LOG_LEVEL: 'loud',
      CHATSPHERE_ADMIN_KEY: 'hunter2',
      DATABASE_URL: 'postgres://u:pass@h',
      REDIS_URL: 'rediss:u:pass@h',
    };
    const error = catchError(() => readConfig(faulty));
    expect(error).toBeInstanceOf(AppError);
    expect(error).toMatchObject({ code: 'configuration_invalid' });
    for (const name of Object.keys(faulty)) expect(String(error)).toContain(name);
    expect(String(error)).not.toMatch(/hunter2|pass@/);
  });

  it('says in plain words what was given and what may be, of all faults at once', () => {
    const error = String(
      catchError(() =>
        readConfig({
          ...{ PORT: '99999', MAX_UPLOAD_BYTES: '1.5', LOG_LEVEL: 'loud', LLM_HEDGE_AFTER_MS: 'soon', ROLE: 'boss' },
          ...{ DATABASE_POOL_SIZE: '', CHATSPHERE_SECRET: 'short', CELERY_API_KEY: 'short2', CHAT_MODEL: 'acme/llm' },
        }),
      ),
    );
    expect(error.split('\n').slice(1, -1).sort()).toEqual([
      '  - CELERY_API_KEY must have at least 16 characters',
      '  - CHATSPHERE_SECRET must have at least 32 characters',
      expect.stringMatching(/^ {2}- CHAT_MODEL /),
      '  - LLM_HEDGE_AFTER_MS must be off, p95 or a whole number of milliseconds from 1 to 3600000, not "soon"',
      '  - LOG_LEVEL must be debug, info, warn, error or silent, not "loud"',
      '  - MAX_UPLOAD_BYTES must be a whole number from 1024 to 10737418240, not "1.5"',
      '  - PORT must be a whole number from 0 to 65535, not "99999"',
      '  - ROLE must be all, serve or worker, not "boss"',
    ]);
  });

  it.each([
    [{ CHAT_MODEL: 'acme/llm', OPENAI_API_KEY: 'sk-x' }, 'CHAT_MODEL'],
    [{ CHAT_MODEL_FALLBACKS: 'acme/llm', OPENAI_API_KEY: 'sk-x' }, 'CHAT_MODEL_FALLBACKS'],
    [{ CHAT_MODEL_FALLBACKS: 'openai/gpt-4o' }, 'CHAT_MODEL_FALLBACKS'],
    [{ CHAT_MODEL_CHEAPER: 'acme/llm', OPENAI_API_KEY: 'sk-x' }, 'CHAT_MODEL_CHEAPER'],
    [{ LLM_HEDGE_AFTER_MS: 'soon' }, 'LLM_HEDGE_AFTER_MS'],
    [{ CHAT_MODEL: 'gpt-4o' }, 'OPENAI_API_KEY'],
    [{ EMBEDDING_MODEL: 'local/bert' }, 'EMBEDDING_MODEL'],
    [{ EMBEDDING_FOLLOWER: 'openai/x' }, 'EMBEDDING_FOLLOWER'],
    [{ EMBEDDING_FOLLOWER: 'local/use-lite', EMBEDDING_MODEL: 'local/use-lite' }, 'EMBEDDING_FOLLOWER'],
    [{ VECTOR_STORE: 'chroma' }, 'VECTOR_STORE'],
    [{ VECTOR_STORE: 'pinecone' }, 'PINECONE_API_KEY'],
    [{ PINECONE_INDEX: 'My Index' }, 'PINECONE_INDEX'],
    [{ PINECONE_HOST: 'ftp://x' }, 'PINECONE_HOST'],
    [{ PINECONE_CLOUD: 'ovh' }, 'PINECONE_CLOUD'],
    [{ PINECONE_DEBUG_CURL: '1' }, 'PINECONE_DEBUG_CURL would print'],
    [
      { VECTOR_STORE: 'pinecone', PINECONE_API_KEY: 'k', PINECONE_SPARSE: 'on', PINECONE_METRIC: 'cosine' },
      'PINECONE_METRIC must be dotproduct',
    ],
    [{ OPENAI_BASE_URL: 'ftp://x' }, 'OPENAI_BASE_URL'],
    [{ REDIS_URL: 'http://127.0.0.1:6379' }, 'REDIS_URL'],
    [{ DATABASE_URL: 'mysql://u:pass@h/d', CHATSPHERE_SECRET: 's'.repeat(32) }, 'DATABASE_URL'],
    [{ DATABASE_URL: 'postgres://u:pass@h/d' }, 'CHATSPHERE_SECRET is required with DATABASE_URL'],
    [{ DATABASE_LISTEN_URL: 'postgres://u:pass@h/d' }, 'DATABASE_LISTEN_URL'],
    [{ DATABASE_POOL_SIZE: '1' }, 'DATABASE_POOL_SIZE'],
    [{ DATABASE_POOL_SIZE: '20' }, 'DATABASE_POOL_SIZE has no effect without DATABASE_URL'],
    [{ CELERY_RESULT_BACKEND: 'redis://h' }, 'CELERY_RESULT_BACKEND has no effect without CELERY_BROKER_URL'],
    [{ CRAWL_ALLOW_PRIVATE_HOSTS: 'wiki,http://x/y' }, 'CRAWL_ALLOW_PRIVATE_HOSTS must be hosts'],
    [{ CHUNKING_MODULES: 'nix-of-this-name' }, 'CHUNKING_MODULES: the package "nix-of-this-name" is not installed'],
    [{ MODEL_PRICES_FILE: '/nonexist' }, 'MODEL_PRICES_FILE must be a file that can be read, not "/nonexist"'],
    [{ VECTOR_STORE: 'pgvector' }, 'VECTOR_STORE=pgvector needs a PostgreSQL'],
    [{ ...POSTGRES, VECTOR_STORE: 'embedded', ROLE: 'worker' }, 'VECTOR_STORE=embedded'],
    [{ REDIS_URL: 'redis://' }, 'REDIS_URL'],
    [{ REDIS_URL: 'redis://h/a' }, 'REDIS_URL'],
    [{ REDIS_URL: 'redis://u:%zz@h' }, 'REDIS_URL'],
    [{ REDIS_URL: 'redis://h', REDIS_PREFIX: 'a b' }, 'REDIS_PREFIX'],
    [{ OPENAI_BASE_URL: 'http://user:hunter2@x' }, 'OPENAI_BASE_URL must not hold a user'],
    [{ OPENAI_API_KEY: 'sk-x\u00e4' }, 'OPENAI_API_KEY'],
    [{ AZURE_OPENAI_API_KEY: 'k' }, 'AZURE_OPENAI_ENDPOINT'],
    [{ AZURE_OPENAI_ENDPOINT: 'https://x.openai.azure.com' }, 'AZURE_OPENAI_API_KEY'],
    [{ PROVIDER_GROQ_API_KEY: 'k' }, 'PROVIDER_GROQ_BASE_URL'],
    [{ PROVIDER_GROQ_BASE_URL: 'https://x', PROVIDER_GROQ_KIND: 'grok' }, 'PROVIDER_GROQ_KIND'],
    [{ PROVIDER_OPENAI_BASE_URL: 'https://x' }, 'PROVIDER_OPENAI_BASE_URL'],
    [{ CHAT_MODEL: 'anthropic/claude' }, 'ANTHROPIC_API_KEY'],
    [{ CHAT_MODEL: 'groq/llama' }, 'PROVIDER_GROQ_BASE_URL'],
    [{ EMBEDDING_MODEL: 'anthropic/x', ANTHROPIC_API_KEY: 'sk-ant-x' }, 'EMBEDDING_MODEL'],
  ])('refuses %o', (environment, name) => {
    expect(String(catchError(() => readConfig(environment)))).toContain(name);
  });

  it('takes hosts with ports and addresses, and packages that are there', () => {
    const hosts = 'wiki.corp.example, 10.0.0.5:8080,localhost,[::1]:80,fd00::1';
    expect(readConfig({ CRAWL_ALLOW_PRIVATE_HOSTS: hosts }).crawlAllowPrivateHosts).toEqual(hosts.split(/, ?/));
    expect(readConfig({ CHUNKING_MODULES: 'zod' }).chunkingModules).toEqual(['zod']);
    expect(readConfig({}).chunkingModules).toEqual(['@langchain/textsplitters']);
    expect(readConfig({ CHUNKING_MODULES: 'none' }).chunkingModules).toEqual([]);
  });

  it('names faults of models together with all the others', () => {
    const faulty = {
      ...{
        PORT: 'x',
        ROLE: 'boss',
        QUEUE: 'q',
        EMBEDDING_DIMENSIONS: '0',
        CHAT_MODEL: 'acme/a',
        CHUNKING_MODULES: 'nix-nix',
      },
      ...{
        EMBEDDING_MODEL: 'acme/b',
        CHAT_MODEL_FALLBACKS: 'acme/c',
        CHAT_MODEL_CHEAPER: 'acme/d',
        MODEL_PRICES_FILE: '/x',
      },
    };
    const error = String(catchError(() => readConfig(faulty)));
    for (const name of Object.keys(faulty)) expect(error).toContain(`- ${name}`);
  });

  it('warns of settings that look like its own and are none, with the one that is meant', () => {
    const warnings = (environment: Record<string, string>) => readConfig(environment).warnings;
    expect(warnings({ CHATSPHERE_PORT: '3' })).toEqual(['CHATSPHERE_PORT is no setting and has no effect. Set PORT.']);
    expect(warnings({ CHATSPHERE_ADMINKEY: 'k' })).toEqual([
      'CHATSPHERE_ADMINKEY is no setting and has no effect. Did you mean CHATSPHERE_ADMIN_KEY?',
    ]);
    expect(warnings({ CHATSPHERE_COLOUR_SCHEME: 'k' })).toEqual([
      'CHATSPHERE_COLOUR_SCHEME is no setting and has no effect.',
    ]);
    expect(warnings({ OTEL_EXPORTER_OTLP_ENDPOINT: 'baz' })).toEqual([expect.stringContaining('no effect')]);
    expect(warnings({ CHATSPHERE_API_KEY: 'k', CHATSPHERE_DATA_DIR: 'd' })).toEqual([]);
  });

  it('says when a model has to be chosen', () => {
    const environment = { PROVIDER_GROQ_BASE_URL: 'https://api.groq.com/openai/v1' };
    expect(readConfig(environment).warnings).toEqual([expect.stringContaining('CHAT_MODEL')]);
    expect(readConfig({ ...environment, CHAT_MODEL: 'groq/llama' }).warnings).toEqual([]);
  });

  it('searches vectors where the database is, and warns of those that other processes would not see', () => {
    expect(readConfig({}).vectorStore).toBe('embedded');
    expect(readConfig(POSTGRES)).toMatchObject({ vectorStore: 'pgvector', warnings: [] });
    const embedded = readConfig({ ...POSTGRES, VECTOR_STORE: 'embedded' });
    expect(embedded).toMatchObject({ vectorStore: 'embedded', warnings: [expect.stringContaining('VECTOR_STORE')] });
  });

  it('takes Redis when it is named, and keeps its password out of logs', () => {
    expect(readConfig({}).redis).toBeNull();
    const { redis } = readConfig({ REDIS_URL: 'rediss://user:p%40ssword@redis.example:6380/2' });
    expect(redis).toMatchObject({ prefix: 'chatsphere:', timeoutMs: 50 });
    expect(redisSecrets(redis)).toEqual([redis?.url, 'p%40ssword', 'p@ssword']);
    expect(redisSecrets(readConfig({ REDIS_URL: 'redis://127.0.0.1' }).redis)).toEqual([]);
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
