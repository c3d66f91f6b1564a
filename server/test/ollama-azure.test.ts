import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AZURE_KEY, AZURE_SECRET_WORDS, startAzureStandin } from './azure-standin.ts';
import { type BuiltServer, callServer, jobEnded, startBuiltServer } from './built-server.ts';
import { askServer } from './fault-bed.ts';
import type { HttpStandin } from './http-standin.ts';
import { startOllamaStandin } from './ollama-standin.ts';

const QUIET = { EMBEDDING_FOLLOWER: 'off', LOG_LEVEL: 'silent' };
const CONTENT = 'Green tea is steeped at 75 degrees for two minutes.';
const KINDS = [
  ['JSON', false],
  ['a stream', true],
] as const;

async function botOf(server: BuiltServer, settings: Readonly<Record<string, unknown>> = {}): Promise<string> {
  const { status, body } = await callServer(server, { path: '/v1/bots', json: { name: 'Guide', ...settings } });
  expect(status, JSON.stringify(body)).toBe(201);
  return String(body['id']);
}

async function train(server: BuiltServer, bot: string): Promise<void> {
  const json = { type: 'text', title: 'Tea', content: CONTENT };
  const { body } = await callServer(server, { path: `/v1/bots/${bot}/sources`, json });
  await jobEnded(server, String(body['job_id']));
}

/** Dense scores are there only when the vectors of chunk and query came and fit. */
async function denseScoreOf(server: BuiltServer, bot: string): Promise<unknown> {
  const json = { query: 'green tea' };
  const { body } = await callServer(server, { path: `/v1/bots/${bot}/search`, json });
  return (body['data'] as { readonly scores: { readonly dense: number | null } }[])[0]?.scores.dense;
}

describe('Ollama, over HTTP', () => {
  let ollama: HttpStandin;
  let server: BuiltServer;
  beforeAll(async () => {
    ollama = await startOllamaStandin();
    const env = { ...QUIET, OLLAMA_BASE_URL: ollama.origin, EMBEDDING_MODEL: 'ollama/nomic-embed-text' };
    server = await startBuiltServer({ env });
  });
  afterAll(async () => {
    await server?.stop();
    await ollama?.stop();
  });

  it.each(KINDS)('answers with the model that was found installed: %s', async (_kind, stream) => {
    const seen = await askServer(server.url, { model: await botOf(server), stream });
    expect(seen, seen.raw).toMatchObject({
      ...{ status: 200, text: 'Hello from Ollama', finishReason: 'stop', errors: 0, done: true, degraded: [] },
      usage: { prompt_tokens: 31, completion_tokens: 3, total_tokens: 34 },
      headers: { 'x-chatsphere-served-by': 'ollama/llama3.2:latest' },
    });
    const call = ollama.requests.findLast(({ path }) => path === '/v1/chat/completions');
    expect(call?.body).toMatchObject({
      model: 'llama3.2:latest',
      stream: true,
      stream_options: { include_usage: true },
    });
    expect(call?.headers.authorization).toBeUndefined();
  });

  it('embeds what is trained and asked', async () => {
    const bot = await botOf(server);
    await train(server, bot);
    expect(await denseScoreOf(server, bot)).toBeGreaterThan(0.3);
    const calls = ollama.requests.filter(({ path }) => path === '/v1/embeddings');
    expect(calls.length).toBeGreaterThanOrEqual(2);
    expect(calls.every(({ body }) => body['model'] === 'nomic-embed-text')).toBe(true);
  });

  it.each(KINDS)('that has not the model is an error, or quotes where there is content: %s', async (_kind, stream) => {
    const empty = await botOf(server, { model: 'ollama/mistral' });
    const refused = await askServer(server.url, { model: empty, stream });
    expect(refused.error, refused.raw).toMatchObject({ code: 'provider_rejected_request' });
    expect(refused.raw).not.toContain('try pulling');
    const trained = await botOf(server, { model: 'ollama/mistral' });
    await train(server, trained);
    const quoted = await askServer(server.url, {
      model: trained,
      stream,
      question: 'How many degrees is green tea steeped at?',
    });
    expect(quoted.text, quoted.raw).toContain('75 degrees');
    expect(quoted.degraded).toEqual(['extractive_answer']);
  });
});

describe('Azure OpenAI, over HTTP', () => {
  let azure: HttpStandin;
  /** With two keys, of which the first is wrong. */
  let server: BuiltServer;
  /** With the right key, and vectors from Azure, too. */
  let other: BuiltServer;
  beforeAll(async () => {
    azure = await startAzureStandin();
    const env = { ...QUIET, AZURE_OPENAI_ENDPOINT: `${azure.origin}/`, CHAT_MODEL: 'azure/my-gpt' };
    const local = { EMBEDDING_MODEL: 'local/static-en', AZURE_OPENAI_API_KEY: `wrong-key-of-azure, ${AZURE_KEY}` };
    const remote = { EMBEDDING_MODEL: 'azure/vectors', AZURE_OPENAI_API_VERSION: '2024-06-01' };
    [server, other] = await Promise.all([
      startBuiltServer({ env: { ...env, ...local } }),
      startBuiltServer({ env: { ...env, ...remote, AZURE_OPENAI_API_KEY: AZURE_KEY } }),
    ]);
  });
  afterAll(async () => {
    await Promise.all([server?.stop(), other?.stop()]);
    await azure?.stop();
  });

  it.each(KINDS)(
    'answers under the key that it takes, with the deployment in the address: %s',
    async (_kind, stream) => {
      const seen = await askServer(server.url, { model: await botOf(server), stream });
      expect(seen, seen.raw).toMatchObject({
        ...{ status: 200, text: 'Hello from Azure', finishReason: 'stop', errors: 0, done: true, degraded: [] },
        usage: { prompt_tokens: 22, completion_tokens: 3, total_tokens: 25 },
        headers: { 'x-chatsphere-served-by': 'azure/my-gpt' },
      });
      const call = azure.requests.at(-1);
      expect(call?.path).toBe('/openai/deployments/my-gpt/chat/completions?api-version=2024-10-21');
      expect(call?.headers).toMatchObject({ 'api-key': AZURE_KEY });
      expect(call?.headers.authorization).toBeUndefined();
    },
  );

  it('is not asked again under the key that it has refused', () => {
    const wrong = azure.requests.filter(({ headers }) => headers['api-key'] !== AZURE_KEY);
    expect(wrong.length).toBeLessThanOrEqual(1);
  });

  it.each(KINDS)('that limits requests is waited for as long as it says: %s', async (_kind, stream) => {
    const seen = await askServer(other.url, { model: await botOf(other, { model: 'azure/busy' }), stream });
    expect(seen, seen.raw).toMatchObject({ status: 200, text: 'Hello from Azure', errors: 0 });
    expect(Number(seen.headers['x-chatsphere-attempts'])).toBeGreaterThanOrEqual(2);
  });

  it.each(KINDS)(
    'that refuses a prompt or has no such deployment says nothing of itself: %s',
    async (_kind, stream) => {
      for (const [model, question] of [
        ['azure/my-gpt', 'Something forbidden'],
        ['azure/none', 'Hi'],
      ] as const) {
        const seen = await askServer(other.url, { model: await botOf(other, { model }), stream, question });
        expect(seen.error, seen.raw).toMatchObject({ code: 'provider_rejected_request' });
        expect(seen.raw).not.toMatch(/ResponsibleAI|content management/);
        expect(seen.raw).not.toContain(AZURE_SECRET_WORDS);
      }
    },
  );

  it('embeds what is trained and asked', async () => {
    const bot = await botOf(other);
    await train(other, bot);
    expect(await denseScoreOf(other, bot)).toBeGreaterThan(0.3);
    const call = azure.requests.findLast(({ path }) => path.includes('embeddings'));
    expect(call?.path).toBe('/openai/deployments/vectors/embeddings?api-version=2024-06-01');
  });
});
