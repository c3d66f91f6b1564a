import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Standin, type StandinFault, standinVector, startStandin } from '../../../test/openai-standin.ts';
import type { AppError } from '../../kernel/index.ts';
import type { ProviderHttp } from '../../llm/index.ts';
import { createProviderHttp } from '../provider-http/index.ts';
import { createOpenAiEmbedder, type OpenAiEmbedderOptions } from './embedder.ts';

describe('OpenAI embedder', () => {
  let standin: Standin;
  let http: ProviderHttp;
  beforeEach(async () => {
    standin = await startStandin({ dimensions: 8 });
    http = createProviderHttp();
  });
  afterEach(async () => {
    await standin.stop();
    await http.stop();
  });

  const embedderOf = (changes: Partial<OpenAiEmbedderOptions> = {}) =>
    createOpenAiEmbedder({
      http,
      baseUrl: standin.url,
      apiKey: 'sk-secret',
      model: 'test-embedding',
      dimensions: 8,
      ...changes,
    });
  const embed = (texts: readonly string[], fault: StandinFault = 'none') => {
    standin.settings.fault = fault;
    return embedderOf().doEmbed(texts, { purpose: 'document' });
  };

  function expected(text: string, dimensions = 8): number[] {
    const vector = [...standinVector(text, dimensions)];
    const length = Math.hypot(...vector);
    return vector.map((value) => value / length);
  }

  function expectVectors(vectors: readonly Float32Array[], texts: readonly string[]): void {
    expect(vectors).toHaveLength(texts.length);
    for (const [index, text] of texts.entries()) {
      const wanted = expected(text);
      for (const [axis, value] of (vectors[index] ?? []).entries()) expect(value).toBeCloseTo(wanted[axis] ?? 0, 5);
    }
  }

  it.each<[StandinFault]>([['none'], ['float_embeddings'], ['shuffled_embeddings']])(
    'gives the vectors in order, normalised (%s)',
    async (fault) => {
      const texts = ['one', 'two', 'drei 🙂'];
      const { vectors, inputTokens } = await embed(texts, fault);
      expectVectors(vectors, texts);
      expect(inputTokens).toBe(3);
      expect(standin.requests[0]).toMatchObject({
        path: '/v1/embeddings',
        authorization: 'Bearer sk-secret',
        body: { model: 'test-embedding', input: texts, encoding_format: 'base64' },
      });
      expect(standin.requests[0]?.body).not.toHaveProperty('dimensions');
    },
  );

  it('does not send texts that hold nothing, and gives them zero vectors', async () => {
    const { vectors } = await embed(['', 'one', ' \n']);
    expect(standin.requests[0]?.body['input']).toEqual(['one']);
    expect(vectors.map((vector) => Math.round(Math.hypot(...vector)))).toEqual([0, 1, 0]);
    await expect(embed(['', ' '])).resolves.toMatchObject({ inputTokens: 0 });
    expect(standin.requests).toHaveLength(1);
  });

  it('splits what is too long for one request, and keeps the order', async () => {
    const texts = ['a', 'b', 'c', 'd'].map((letter) => letter.repeat(120_000));
    const { vectors, inputTokens } = await embed(texts);
    expectVectors(vectors, texts);
    expect(standin.requests.map((request) => (request.body['input'] as string[]).length)).toEqual([2, 2]);
    expect(inputTokens).toBe(4);
  });

  it.each([
    ['text-embedding-ada-002', 1536],
    ['text-embedding-3-small', 1536],
    ['text-embedding-3-large', 3072],
  ])('knows the width of %s', (model, dimensions) => {
    const { profile } = createOpenAiEmbedder({ http, baseUrl: standin.url, apiKey: null, model });
    expect(profile).toMatchObject({ id: `openai/${model}`, dimensions, version: '1', local: false, window: null });
  });

  it('asks for shorter vectors where the model makes them', async () => {
    const embedder = createOpenAiEmbedder({
      http,
      baseUrl: standin.url,
      apiKey: null,
      model: 'text-embedding-3-large',
      dimensions: 256,
    });
    expect(embedder.profile.dimensions).toBe(256);
    const { vectors } = await embedder.doEmbed(['one'], { purpose: 'query' });
    expect(vectors[0]).toHaveLength(256);
    const narrower = await embedder.doEmbed(['one'], { purpose: 'query', dimensions: 64 });
    expect(narrower.vectors[0]).toHaveLength(64);
    expect(standin.requests.map((request) => request.body['dimensions'])).toEqual([256, 64]);
  });

  it('learns an unknown width from one call at start', async () => {
    const embedder = createOpenAiEmbedder({ http, baseUrl: standin.url, apiKey: null, model: 'unknown' });
    expect(() => embedder.profile).toThrow(expect.objectContaining({ code: 'configuration_invalid' }));
    await embedder.start();
    expect(embedder.profile.dimensions).toBe(8);
  });

  it('refuses vectors of another width than expected', async () => {
    standin.settings.dimensions = 9;
    await expect(embed(['one'])).rejects.toMatchObject({ code: 'embedding_dimension_mismatch', retryable: false });
  });

  it('refuses more texts than it takes in one call', async () => {
    await expect(embed(Array(257).fill('x'))).rejects.toMatchObject({ code: 'embedding_failed', retryable: false });
  });

  it.each<[StandinFault, AppError['code'], boolean]>([
    ['unauthorized', 'provider_authentication_failed', false],
    ['quota', 'provider_quota_exhausted', false],
    ['rate_limit', 'provider_rate_limited', true],
    ['error_500', 'provider_error', true],
    ['html_502', 'provider_error', true],
    ['error_in_200', 'provider_error', true],
    ['context_length', 'context_length_exceeded', false],
    ['reset_before_byte', 'stream_interrupted', true],
    ['empty_body', 'provider_invalid_response', true],
    ['malformed_json', 'provider_invalid_response', true],
    ['short_embeddings', 'provider_invalid_response', true],
  ])('turns %s into %s', async (fault, code, retryable) => {
    const error: AppError = await embed(['one', 'two'], fault).then(
      () => expect.unreachable(),
      (reason) => reason,
    );
    expect(error).toMatchObject({ code, retryable });
    expect(error.message).not.toMatch(/sk-|upstream/);
  });

  it('ends a call that is not answered in time, and one that is no longer wanted', async () => {
    standin.settings.fault = 'hang_before_byte';
    const slow = embedderOf({ requestTimeoutMs: 50 }).doEmbed(['one'], { purpose: 'query' });
    await expect(slow).rejects.toMatchObject({ code: 'provider_timeout', retryable: true });
    const controller = new AbortController();
    const unwanted = embedderOf().doEmbed(['one'], { purpose: 'query', signal: controller.signal });
    controller.abort(new Error('left'));
    await expect(unwanted).rejects.toThrow('left');
  });

  it('takes no nonsense for vectors', async () => {
    const nonsense = fc.oneof(
      fc.jsonValue(),
      fc.record({ data: fc.array(fc.record({ index: fc.jsonValue(), embedding: fc.jsonValue() }), { maxLength: 3 }) }),
    );
    await fc.assert(
      fc.asyncProperty(nonsense, async (body) => {
        const embedder = embedderOf({ http: answering(JSON.stringify(body)) });
        const result = await embedder.doEmbed(['one', 'two'], { purpose: 'query' }).catch((error: unknown) => error);
        expect(result).toMatchObject({ code: expect.stringMatching(/^(provider|embedding|context)_/) });
      }),
    );
  });
});

/** HTTP that answers each call with this body. */
function answering(body: string): ProviderHttp {
  return {
    async send() {
      let rest: Uint8Array[] | null = [Buffer.from(body)];
      return {
        status: 200,
        header: () => undefined,
        async read() {
          const pieces = rest;
          rest = null;
          return pieces;
        },
        finish: () => {},
        cancel: () => {},
      };
    },
    stop: async () => {},
  };
}
