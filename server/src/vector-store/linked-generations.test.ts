import { describe, expect, it } from 'vitest';
import { createExactVectorStore } from '../adapters/fakes/index.ts';
import { withLinkedGenerations } from './linked-generations.ts';

describe('linked generations', () => {
  it('deletes from every generation of the bot, and writes to one', async () => {
    const store = withLinkedGenerations(createExactVectorStore(), () => ['second']);
    const vector = Float32Array.of(1, 0);
    const namespaceOf = (generation: string, botId = 'bot') => ({ tenantId: 'tnt', botId, generation });
    const put = (generation: string, documentId: string, botId?: string) =>
      store.upsert(namespaceOf(generation, botId), [
        { chunkId: `${documentId}-chunk`, documentId, sourceId: 'src', window: 0, vector },
      ]);
    const found = async (generation: string, botId?: string) =>
      (await store.search(namespaceOf(generation, botId), { vector, limit: 10 })).map(({ chunkId }) => chunkId).sort();
    for (const generation of ['first', 'second', 'third']) {
      await put(generation, 'a');
      await put(generation, 'b');
    }
    await put('second', 'a', 'other');
    await store.deleteDocuments(namespaceOf('first'), ['a']);
    expect([await found('first'), await found('second')]).toEqual([['b-chunk'], ['b-chunk']]);
    expect(await found('third')).toEqual(['a-chunk', 'b-chunk']);
    expect(await found('second', 'other')).toEqual(['a-chunk']);
    await store.deleteNamespace(namespaceOf('first'));
    expect([await found('first'), await found('second'), await found('second', 'other')]).toEqual([
      [],
      [],
      ['a-chunk'],
    ]);
  });
});
