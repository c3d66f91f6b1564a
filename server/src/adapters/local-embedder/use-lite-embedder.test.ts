import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';
import { describeEmbedderContract } from '../../embeddings/embedder.contract.ts';
import { createManualClock } from '../../kernel/index.ts';
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
      const clock = createManualClock();
      const own = createUseLiteModel({ clock });
      let loaded = 0;
      const count = () => {
        loaded += 1;
      };
      process.on('worker', count);
      const pass = async (milliseconds: number) => {
        await clock.advance(milliseconds);
        vi.advanceTimersByTime(milliseconds);
      };
      const loadsFor = async (urgency: 'training' | 'query') => {
        loaded = 0;
        await own.embed(['badgers'], { urgency });
        return loaded === 1;
      };
      expect(await loadsFor('training')).toBe(true);
      expect(await loadsFor('training')).toBe(false);
      await pass(6_000);
      expect(await loadsFor('query')).toBe(true);
      await pass(250_000);
      expect(await loadsFor('training')).toBe(false);
      await pass(40_000);
      expect(await loadsFor('training')).toBe(false);
      await pass(11_000);
      expect(await loadsFor('training')).toBe(true);
      await pass(6_000);
      expect(await loadsFor('training')).toBe(true);
      process.off('worker', count);
      await own.stop();
    });
  });
});
