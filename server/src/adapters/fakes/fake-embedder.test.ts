import { describe, expect, it } from 'vitest';
import { describeEmbedderContract } from '../../embeddings/embedder.contract.ts';
import { AppError } from '../../kernel/index.ts';
import { createFakeEmbedder } from './fake-embedder.ts';

describeEmbedderContract('fake', () => createFakeEmbedder(), { knowsMeaning: false });
describeEmbedderContract('fake, wide', () => createFakeEmbedder({ dimensions: 70 }), { knowsMeaning: false });

describe('fake embedder', () => {
  it('fails as told, then answers, and records its calls', async () => {
    const fake = createFakeEmbedder({ failures: [new AppError('provider_error', 'away')] });
    await expect(fake.doEmbed(['a'], { purpose: 'query' })).rejects.toMatchObject({ code: 'provider_error' });
    await expect(fake.doEmbed(['b'], { purpose: 'document' })).resolves.toBeDefined();
    expect(fake.calls.map(({ texts, purpose }) => [texts, purpose])).toEqual([
      [['a'], 'query'],
      [['b'], 'document'],
    ]);
  });
});
