import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { startPineconeStandin } from '../../../test/pinecone-standin/pinecone-standin.ts';
import type { Namespace } from '../../vector-store/index.ts';
import { clusteredVector, createVectorTruth, record, unit } from '../../vector-store/vector-store.contract.ts';
import { storeOver } from './pinecone-bed.contract.ts';
import { chunkIdOf, documentPrefix, namespaceName, recordId } from './record-ids.ts';
import { sparseOfQuestion, sparseOfText } from './sparse-values.ts';
import { upsertBatches } from './upsert-batches.ts';

const namespace: Namespace = { tenantId: 'tnt_1', botId: 'bot_1', generation: 'g1' };
const anyText = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 30 });

describe('records at Pinecone', () => {
  it('have ids that name their chunk and begin with their document', () => {
    fc.assert(
      fc.property(anyText, anyText, fc.nat(20), (documentId, chunkId, window) => {
        const id = recordId({ documentId, chunkId, window });
        expect(chunkIdOf(id)).toBe(chunkId);
        expect(id.startsWith(documentPrefix(documentId))).toBe(true);
        expect(id).toMatch(/^[\x20-\x7e]+$/);
      }),
    );
    expect(chunkIdOf('theirs')).toBeNull();
    expect(chunkIdOf('a#%zz#0')).toBeNull();
  });

  it('are in namespaces whose names never meet', () => {
    const parts = fc.record({ tenantId: anyText, botId: fc.string(), generation: fc.string({ maxLength: 600 }) });
    fc.assert(
      fc.property(parts, parts, (one, other) => {
        const same = JSON.stringify(one) === JSON.stringify(other);
        expect(namespaceName(one) === namespaceName(other)).toBe(same);
        expect(namespaceName(one).length).toBeLessThanOrEqual(512);
      }),
    );
    expect(namespaceName({ ...namespace, generation: 'x'.repeat(600) })).not.toBe(
      namespaceName({ ...namespace, generation: 'x'.repeat(601) }),
    );
  });

  it('are sent in their order, in requests that Pinecone takes', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(3000), fc.nat(30_000)), { maxLength: 300 }), (sizes) => {
        const records = sizes.map(([width, text], at) => ({
          id: `doc#${at}#0`,
          values: Array.from({ length: width }, () => 0.1234567),
          metadata: { source_id: 's'.repeat(text) },
        }));
        const batches = upsertBatches(records);
        expect(batches.flat()).toEqual(records);
        for (const batch of batches) {
          expect(batch.length).toBeLessThanOrEqual(1000);
          const body = JSON.stringify({ vectors: batch, namespace: 'n'.repeat(512) });
          expect(Buffer.byteLength(body)).toBeLessThanOrEqual(2 * 1024 ** 2);
        }
      }),
      { numRuns: 20 },
    );
    const large = { id: 'a', values: [1], metadata: { source_id: 's'.repeat(41_000) } };
    expect(() => upsertBatches([large])).toThrow(/larger than Pinecone takes/);
  });

  it('go there and back in few requests, not all at once', async () => {
    const standin = await startPineconeStandin();
    const truth = createVectorTruth();
    const store = await storeOver({ standin, truth, dimensions: 1536 });
    const records = Array.from({ length: 700 }, (_, at) =>
      record(`chunk-${at}`, clusteredVector({ seed: at, cluster: at % 7, dimensions: 1536 }), { documentId: 'big' }),
    );
    truth.put(namespace, records);
    await store.upsert(namespace, records);
    const upserts = standin.requests.filter(({ path }) => path === '/vectors/upsert');
    expect(upserts.length).toBeGreaterThan(4);
    expect(upserts.length).toBeLessThan(10);
    expect(Math.max(...upserts.map(({ bytes }) => bytes))).toBeLessThanOrEqual(2 * 1024 ** 2);
    expect(standin.mostAtOnce()).toBeLessThanOrEqual(4);
    truth.deleteDocuments(namespace, ['big']);
    await store.deleteDocuments(namespace, ['big']);
    const deletes = standin.requests.filter(({ path }) => path === '/vectors/delete');
    expect(deletes.map(({ body }) => (body['ids'] as string[]).length)).toEqual([700]);
    expect(standin.contentOf('chatsphere')['tnt_1/bot_1/g1']).toEqual([]);
    await store.stop();
    await standin.stop();
  });

  it('hold no text, and nothing that Pinecone does not need', async () => {
    const standin = await startPineconeStandin();
    const truth = createVectorTruth();
    const texts = new Map([['a', 'secret words of a customer']]);
    const settings = { sparse: true, metric: 'dotproduct' } as const;
    const store = await storeOver({ standin, truth, dimensions: 3, texts, settings });
    await store.upsert(namespace, [record('a', unit([1, 2, 3]))]);
    const sent = standin.requests.find(({ path }) => path === '/vectors/upsert')?.body;
    expect(sent).toEqual({
      namespace: 'tnt_1/bot_1/g1',
      vectors: [
        {
          id: 'doc-of-a#a#0',
          values: expect.any(Array),
          sparseValues: { indices: expect.any(Array), values: expect.any(Array) },
          metadata: { source_id: 'src' },
        },
      ],
    });
    expect(JSON.stringify(sent)).not.toContain('secret');
    await store.stop();
    await standin.stop();
  });
});

describe('sparse values', () => {
  it('are what Pinecone takes, of any words', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'grapheme' }), { maxLength: 3000 }), (terms) => {
        for (const sparse of [sparseOfText(terms), sparseOfQuestion(terms, 0.5)]) {
          if (sparse === null) {
            expect(terms).toEqual([]);
            continue;
          }
          expect(sparse.indices.length).toBeLessThanOrEqual(1000);
          expect(new Set(sparse.indices).size).toBe(sparse.indices.length);
          expect(sparse.values).toHaveLength(sparse.indices.length);
          for (const value of sparse.values) expect(value > 0 && value < 1).toBe(true);
        }
      }),
    );
  });

  it('meet in the singular and the plural', () => {
    expect(sparseOfText(['policies'])?.indices).toEqual(sparseOfQuestion(['policy'], 1)?.indices);
    expect(sparseOfText(['servers'])?.indices).toEqual(sparseOfQuestion(['server'], 1)?.indices);
    expect(sparseOfText(['status'])?.indices).not.toEqual(sparseOfQuestion(['statu'], 1)?.indices);
  });

  it('bring a chunk among the candidates that vectors alone leave out', async () => {
    const standin = await startPineconeStandin();
    const near = Array.from({ length: 200 }, (_, at) => record(`near-${at}`, unit([1, at / 1000, 0])));
    const wanted = record('wanted', unit([1, 1, 0]));
    const texts = new Map([
      ...near.map(({ chunkId }) => [chunkId, 'parking rules'] as const),
      ['wanted', 'fire drills'],
    ]);
    const candidates = async (sparse: boolean): Promise<readonly string[]> => {
      const truth = createVectorTruth();
      const settings = { index: sparse ? 'with' : 'without', sparse, metric: 'dotproduct' } as const;
      const store = await storeOver({ standin, truth, dimensions: 3, texts, settings });
      truth.put(namespace, [...near, wanted]);
      await store.upsert(namespace, [...near, wanted]);
      // The first search lets go of what is kept in memory until Pinecone shows it.
      await store.search(namespace, { vector: unit([1, 0, 0]), limit: 1 });
      const found = await store.search(namespace, { vector: unit([1, 0, 0]), limit: 100, terms: ['fire', 'drill'] });
      await store.stop();
      return found.map(({ chunkId }) => chunkId);
    };
    expect(await candidates(false)).not.toContain('wanted');
    expect(await candidates(true)).toContain('wanted');
    await standin.stop();
  });
});
