import { FakeVectorStore } from '@langchain/core/utils/testing';
import { describe, expect, it } from 'vitest';
import type { Namespace } from '../../vector-store/index.ts';
import {
  createVectorTruth,
  describeVectorStoreContract,
  record,
  unit,
  type VectorTruth,
} from '../../vector-store/vector-store.contract.ts';
import type { LangChainVectorStore } from './namespace-index.ts';
import { createLangChainVectorStore } from './vector-store.ts';

/** LangChain's memory store, with deletes by id added: its own has none. */
class DeletingStore extends FakeVectorStore {
  override async delete({ ids }: { ids: string[] }): Promise<void> {
    this.memoryVectors = this.memoryVectors.filter(({ metadata }) => !ids.includes(metadata['chatsphere_id']));
  }
}

function storeOver(truth: VectorTruth, type: typeof FakeVectorStore, maxVectors = 100_000) {
  const made: FakeVectorStore[] = [];
  const store = createLangChainVectorStore({
    make: async () => {
      made.push(new type({} as ConstructorParameters<typeof FakeVectorStore>[0]));
      return made.at(-1) as unknown as LangChainVectorStore;
    },
    loadNamespace: async function* (namespace) {
      yield truth.chunksOf(namespace);
    },
    readVectors: async (namespace, chunkIds) =>
      truth.chunksOf(namespace).filter(({ chunkId }) => chunkIds.includes(chunkId)),
    maxVectors,
  });
  return { store, made };
}

describeVectorStoreContract('langchain memory store', async (truth) => storeOver(truth, FakeVectorStore).store);
describeVectorStoreContract('langchain store that deletes', async (truth) => storeOver(truth, DeletingStore).store);

describe('vector stores of LangChain.js', () => {
  const namespace: Namespace = { tenantId: 'tnt', botId: 'bot', generation: 'g' };
  const x = unit([1, 0, 0]);

  it('is filled from the truth when it is first searched, as after a restart', async () => {
    const truth = createVectorTruth();
    truth.put(namespace, [record('a', x), record('b', unit([1, 1, 0]))]);
    const { store, made } = storeOver(truth, FakeVectorStore);
    await store.upsert(namespace, [record('a', x)]);
    expect(made).toHaveLength(0);
    const found = await store.search(namespace, { vector: x, limit: 5 });
    expect(found.map(({ chunkId }) => chunkId)).toEqual(['a', 'b']);
    expect(made[0]?.memoryVectors).toHaveLength(2);
    expect(JSON.stringify(made[0]?.memoryVectors.map(({ content }) => content))).toBe('["",""]');
  });

  it('lets namespaces go that were not used lately, and reads them again', async () => {
    const truth = createVectorTruth();
    const spaces = ['one', 'two', 'three'].map((botId) => ({ ...namespace, botId }));
    for (const space of spaces) truth.put(space, [record(`${space.botId}-1`, x), record(`${space.botId}-2`, x)]);
    const { store, made } = storeOver(truth, FakeVectorStore, 4);
    for (const space of [...spaces, ...spaces.slice(0, 1)]) {
      expect(await store.search(space, { vector: x, limit: 5 })).toHaveLength(2);
    }
    expect(made).toHaveLength(4);
  });

  it('is filled anew when most of what it holds is outdated and it cannot delete', async () => {
    const truth = createVectorTruth();
    const records = Array.from({ length: 300 }, (_, n) => record(`c${n}`, unit([1, n / 300, 0])));
    truth.put(namespace, records);
    const { store, made } = storeOver(truth, FakeVectorStore);
    await store.search(namespace, { vector: x, limit: 1 });
    for (const { documentId } of records.slice(0, 290)) {
      truth.deleteDocuments(namespace, [documentId]);
      await store.deleteDocuments(namespace, [documentId]);
    }
    expect(made.length).toBeGreaterThan(1);
    expect((await store.search(namespace, { vector: x, limit: 50 })).map(({ chunkId }) => chunkId)[0]).toBe('c290');
    expect(made.at(-1)?.memoryVectors.length).toBeLessThan(160);
  });

  it('finds what a filter leaves, however far behind it is', async () => {
    const truth = createVectorTruth();
    const many = Array.from({ length: 2000 }, (_, n) => record(`c${n}`, unit([1, n / 1000, 0])));
    truth.put(namespace, [...many, record('last', unit([0, 1, 0]), { sourceId: 'rare' })]);
    const { store } = storeOver(truth, FakeVectorStore);
    const found = await store.search(namespace, { vector: x, limit: 3, filter: { sourceIds: ['rare'] } });
    expect(found.map(({ chunkId }) => chunkId)).toEqual(['last']);
  });

  it('reads the truth again after a store has failed', async () => {
    const truth = createVectorTruth();
    truth.put(namespace, [record('a', x)]);
    let broken = true;
    class Failing extends FakeVectorStore {
      override async addVectors(...parameters: Parameters<FakeVectorStore['addVectors']>): Promise<void> {
        if (broken) throw Object.assign(new Error('sk-leaked'), { status: 503 });
        return super.addVectors(...parameters);
      }
    }
    const { store } = storeOver(truth, Failing);
    const failed = store.search(namespace, { vector: x, limit: 1 });
    await expect(failed).rejects.toMatchObject({ code: 'provider_error', retryable: true });
    broken = false;
    expect(await store.search(namespace, { vector: x, limit: 1 })).toHaveLength(1);
  });
});
