import { FakeEmbeddings } from '@langchain/core/utils/testing';
import { OpenAIEmbeddings } from '@langchain/openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Standin, type StandinFault, startStandin } from '../../../test/openai-standin.ts';
import { describeEmbedderContract } from '../../embeddings/embedder.contract.ts';
import type { AppError } from '../../kernel/index.ts';
import { createTokenCounter } from '../../llm/index.ts';
import { createLangChainEmbedder, type LangChainEmbeddings } from './embedder.ts';

const counter = createTokenCounter();

function embedderOf(embeddings: LangChainEmbeddings, changes: { requestTimeoutMs?: number } = {}) {
  return createLangChainEmbedder({
    ...{ id: 'langchain/mine', version: 'v1', embeddings, counter, maxTextsPerCall: 64, fusionWeight: 0.6 },
    ...changes,
  });
}

let standin: Standin;
beforeAll(async () => {
  standin = await startStandin({ dimensions: 12 });
});
afterAll(() => standin.stop());

const openAi = () =>
  new OpenAIEmbeddings({
    apiKey: 'sk-secret',
    model: 'test-embedding',
    maxRetries: 0,
    configuration: { baseURL: standin.url },
  });

describeEmbedderContract('langchain with FakeEmbeddings', () => embedderOf(new FakeEmbeddings()), {
  knowsMeaning: false,
});
describeEmbedderContract('langchain with OpenAIEmbeddings', () => embedderOf(openAi()), { knowsMeaning: false });

describe('embeddings of LangChain.js', () => {
  it('learns its width at the start, and takes no other', async () => {
    const embedder = embedderOf(openAi());
    expect(() => embedder.profile).toThrow(expect.objectContaining({ code: 'configuration_invalid' }));
    await embedder.start();
    expect(embedder.profile).toMatchObject({ id: 'langchain/mine', dimensions: 12, version: 'v1', local: false });
    const mismatch = { code: 'embedding_dimension_mismatch', retryable: false };
    await expect(embedder.doEmbed(['a'], { purpose: 'document', dimensions: 5 })).rejects.toMatchObject(mismatch);
    standin.settings.dimensions = 13;
    await expect(embedder.doEmbed(['a'], { purpose: 'document' })).rejects.toMatchObject(mismatch);
    standin.settings.dimensions = 12;
  });

  it.each<[StandinFault, AppError['code'], boolean]>([
    ['unauthorized', 'provider_authentication_failed', false],
    ['quota', 'provider_quota_exhausted', false],
    ['rate_limit', 'provider_rate_limited', true],
    ['error_500', 'provider_error', true],
    ['reset_before_byte', 'stream_interrupted', true],
  ])('turns %s into %s', async (fault, code, retryable) => {
    const embedder = embedderOf(openAi());
    await embedder.start();
    standin.settings.nextFaults = [fault];
    const error: AppError = await embedder.doEmbed(['a', 'b'], { purpose: 'document' }).then(
      () => expect.unreachable(),
      (reason) => reason,
    );
    expect(error).toMatchObject({ code, retryable });
    expect(`${error.message} ${error.cause}`).not.toMatch(/sk-|upstream/);
  });

  it('gives up a call that takes too long, and what is no vector', async () => {
    const silent = { embedQuery: async () => [1, 0], embedDocuments: () => new Promise<never>(() => {}) };
    const slow = embedderOf(silent, { requestTimeoutMs: 20 });
    await slow.start();
    await expect(slow.doEmbed(['a'], { purpose: 'document' })).rejects.toMatchObject({ code: 'provider_timeout' });
    for (const given of [[], [['x', 'y']], [[Number.NaN, 1]], 'no', [null]]) {
      const odd = embedderOf({ embedQuery: async () => [1, 0], embedDocuments: async () => given as number[][] });
      await odd.start();
      const failed = odd.doEmbed(['a'], { purpose: 'document' });
      await expect(failed).rejects.toMatchObject({ code: 'provider_invalid_response' });
    }
  });
});
