import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';
import { describeEmbedderContract } from '../../embeddings/embedder.contract.ts';
import { createUseLiteEmbedder } from './use-lite-embedder.ts';
import { createUseLiteModel } from './use-lite-model.ts';

const model = createUseLiteModel();
afterAll(() => model.stop());

describeEmbedderContract('local/use-lite', () => createUseLiteEmbedder({ model }), { knowsMeaning: true });

describe('use-lite embedder', () => {
  it('refuses another width', async () => {
    const call = createUseLiteEmbedder({ model }).doEmbed(['a'], { purpose: 'query', dimensions: 256 });
    await expect(call).rejects.toMatchObject({ code: 'embedding_dimension_mismatch' });
  });

  it('starts no worker for texts without anything to read, and refuses calls once stopped', async () => {
    const stopped = createUseLiteModel();
    await stopped.stop();
    expect(await stopped.embed([''], { urgency: 'training' })).toEqual([new Float32Array(512)]);
    await expect(stopped.embed(['a'], { urgency: 'query' })).rejects.toMatchObject({ code: 'server_draining' });
  });

  describe('that nobody uses', () => {
    afterEach(() => vi.useRealTimers());

    it('gives its memory back soon after training, but stays loaded for a while after questions', async () => {
      vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
      const own = createUseLiteModel();
      await own.embed(['badgers'], { urgency: 'training' });
      expect(own.isLoaded()).toBe(true);
      vi.advanceTimersByTime(6_000);
      expect(own.isLoaded()).toBe(false);
      await own.embed(['badgers'], { urgency: 'query' });
      await own.embed(['badgers'], { urgency: 'training' });
      vi.advanceTimersByTime(250_000);
      expect(own.isLoaded()).toBe(true);
      vi.advanceTimersByTime(60_000);
      expect(own.isLoaded()).toBe(false);
      await own.stop();
    });
  });
});
