import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AppError } from '../kernel/index.ts';
import { FIRST_CHUNK_SET, type Generation } from '../store/index.ts';
import type { GenerationRequest, Generations } from '../training/index.ts';
import { startTestServer, type TestServer } from './test-server.contract.ts';

/** Generations without anybody who builds them: what is asked for is written down and shown. */
function scriptedGenerations(server: TestServer, requests: GenerationRequest[]): Generations {
  const of = (tenantId: string) => server.store.forTenant(tenantId).generations;
  const find = async (tenantId: string, botId: string, id: string): Promise<Generation> => {
    const found = await of(tenantId).get(botId, id);
    if (found === null) throw new AppError('generation_not_found', 'No such generation.');
    return found;
  };
  return {
    async request(bot, request) {
      requests.push(request);
      if (request.dimensions === 99) throw new AppError('embedding_dimension_mismatch', 'Another width.');
      const generation = sample(bot.id, `gen_${requests.length}`, request.embeddingModel ?? 'local/static-en');
      await of(bot.tenantId).create(generation);
      return { ...generation, tenantId: bot.tenantId };
    },
    async activate(bot, id) {
      await find(bot.tenantId, bot.id, id);
      await of(bot.tenantId).update(id, { state: { type: 'active', at: 5000 }, updatedAt: 5000 });
      return find(bot.tenantId, bot.id, id);
    },
    rollBack: (bot) => find(bot.tenantId, bot.id, 'gen_none'),
    remove: (bot, id) => of(bot.tenantId).delete(id),
    catchUp: async () => {},
    completeAll: async () => {},
  };
}

function sample(botId: string, id: string, embeddingModel: string): Omit<Generation, 'tenantId'> {
  return {
    id,
    botId,
    state: { type: 'building', at: 1000 },
    embeddingModel,
    embedderVersion: '1',
    dimensions: 512,
    chunkSet: FIRST_CHUNK_SET,
    chunking: { type: 'auto' },
    origin: 'bot',
    policy: 'if_not_worse',
    progress: { done: 1, total: 4 },
    comparison: null,
    jobId: null,
    createdAt: 1000,
    updatedAt: 1000,
  };
}

describe('generation routes', () => {
  let server: TestServer;
  let requests: GenerationRequest[];
  const base = '/v1/bots/helper/generations';

  beforeEach(async () => {
    server = await startTestServer();
    requests = [];
    Object.assign(server.parts, { generations: scriptedGenerations(server, requests) });
    await server.call({ method: 'POST', url: '/v1/bots', json: { name: 'Helper', slug: 'helper' } });
  });
  afterEach(() => server.stop());

  it('builds, shows, activates and deletes', async () => {
    const json = {
      embedding_model: 'local/use-lite',
      dimensions: 512,
      activate: 'manual',
      chunking_strategy: { type: 'auto' },
    };
    const built = await server.call({ method: 'POST', url: base, json });
    expect(built).toMatchObject({
      status: 202,
      body: {
        object: 'generation',
        state: 'building',
        embedding_model: 'local/use-lite',
        progress: { done: 1, total: 4 },
      },
    });
    expect(requests).toEqual([
      { embeddingModel: 'local/use-lite', dimensions: 512, policy: 'manual', chunking: { type: 'auto' } },
    ]);
    const url = `${base}/${built.body.id}`;
    expect((await server.call({ method: 'GET', url: base })).body.data).toHaveLength(1);
    expect((await server.call({ method: 'GET', url })).body).toEqual(built.body);
    expect(await server.call({ method: 'POST', url: `${url}/activate`, json: {} })).toMatchObject({
      status: 200,
      body: { state: 'active', state_since: 5 },
    });
    expect((await server.call({ method: 'GET', url: '/v1/bots/helper' })).body).toMatchObject({
      generation: built.body.id,
      embedding_model: 'local/use-lite',
      chunking_strategy: { type: 'auto' },
    });
    expect((await server.call({ method: 'GET', url: '/v1/bots' })).body.data[0].generation).toBe(built.body.id);
    expect((await server.call({ method: 'DELETE', url })).body).toMatchObject({ object: 'generation.deleted' });
    expect((await server.call({ method: 'GET', url })).status).toBe(404);
  });

  it('names the embedder of the server for a bot that was never trained', async () => {
    expect((await server.call({ method: 'GET', url: '/v1/bots/helper' })).body).toMatchObject({
      generation: null,
      embedding_model: 'local/static-en',
    });
  });

  it('cuts what is there anew when the strategy of the bot changes', async () => {
    const json = {
      chunking_strategy: { type: 'static', static: { max_chunk_size_tokens: 400, chunk_overlap_tokens: 100 } },
    };
    await server.call({ method: 'PATCH', url: '/v1/bots/helper', json });
    expect(requests).toEqual([]);
    const built = await server.call({ method: 'POST', url: base, json: {} });
    await server.call({ method: 'POST', url: `${base}/${built.body.id}/activate`, json: {} });
    const changed = await server.call({ method: 'PATCH', url: '/v1/bots/helper', json });
    expect(changed).toMatchObject({ status: 200, body: json });
    expect((await server.call({ method: 'GET', url: '/v1/bots/helper' })).body).toMatchObject(json);
    expect(requests.at(-1)).toEqual({
      chunking: { type: 'static', maxChunkSizeTokens: 400, chunkOverlapTokens: 100 },
    });
  });

  it('passes refusals on', async () => {
    expect(await server.call({ method: 'POST', url: base, json: { dimensions: 99 } })).toMatchObject({
      status: 400,
      body: { error: { code: 'embedding_dimension_mismatch' } },
    });
    expect(await server.call({ method: 'POST', url: `${base}/rollback`, json: {} })).toMatchObject({
      status: 404,
      body: { error: { code: 'generation_not_found' } },
    });
    expect((await server.call({ method: 'POST', url: base, json: { activate: 'soon' } })).status).toBe(400);
  });

  it('keeps golden questions', async () => {
    const url = '/v1/bots/helper/golden_questions';
    expect((await server.call({ method: 'POST', url, json: { question: 'How?' } })).status).toBe(400);
    const json = { question: 'How?', expected_external_keys: ['a.md'], expected_text: 'Like this' };
    const added = await server.call({ method: 'POST', url, json });
    expect(added).toMatchObject({
      status: 201,
      body: {
        object: 'golden_question',
        expected_external_keys: ['a.md'],
        expected_source_ids: [],
        expected_text: 'Like this',
      },
    });
    expect((await server.call({ method: 'GET', url })).body.data).toEqual([added.body]);
    const one = `${url}/${added.body.id}`;
    expect((await server.call({ method: 'DELETE', url: one })).body).toMatchObject({ deleted: true });
    expect((await server.call({ method: 'DELETE', url: one })).body.error.code).toBe('golden_question_not_found');
  });

  it('needs the scopes of bots', async () => {
    const key = await server.key(['bots:read']);
    expect((await server.call({ key, method: 'GET', url: base })).status).toBe(200);
    expect((await server.call({ key, method: 'POST', url: base, json: {} })).status).toBe(403);
  });
});
