import { describe, expect, it } from 'vitest';
import { createExactVectorStore } from '../../adapters/fakes/index.ts';
import { createRemovedSources, withoutRemovedSources } from './removed-sources.ts';

const namespace = { tenantId: 'tnt_1', botId: 'bot_1', generation: 'g' };
const vector = Float32Array.of(1, 0);
const record = (source: string) => ({
  chunkId: `chk_${source}`,
  documentId: `doc_${source}`,
  sourceId: source,
  window: 0,
  vector,
});

describe('removed sources', () => {
  it('keep late vectors of a deleted source out of the index', async () => {
    const removed = createRemovedSources();
    const vectors = withoutRemovedSources(createExactVectorStore(), removed);
    await vectors.upsert(namespace, [record('src_a'), record('src_b')]);
    removed.add('src_a');
    await vectors.deleteDocuments(namespace, ['doc_src_a']);
    await vectors.upsert(namespace, [record('src_a'), record('src_c')]);
    const found = await vectors.search(namespace, { vector, limit: 10 });
    expect(found.map(({ chunkId }) => chunkId).sort()).toEqual(['chk_src_b', 'chk_src_c']);
  });

  it('are forgotten in time', () => {
    const removed = createRemovedSources();
    for (let number = 0; number <= 10_000; number += 1) removed.add(`src_${number}`);
    expect([removed.has('src_0'), removed.has('src_1'), removed.has('src_10000')]).toEqual([false, true, true]);
  });
});
