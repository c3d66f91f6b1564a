import fc from 'fast-check';
import { expect, it } from 'vitest';
import { clusteredVector, record } from '../../vector-store/vector-store.contract.ts';
import { createExactVectorStore } from '../fakes/index.ts';
import { createInt8Kernel } from './int8-kernel.ts';
import { createNamespaceIndex, type NamespaceIndex } from './namespace-index.ts';

const kernel = createInt8Kernel();
const namespace = { tenantId: 't', botId: 'b', generation: 'g' };
const dimensions = 12;

const change = fc.oneof(
  { weight: 4, arbitrary: fc.record({ put: fc.nat(30), window: fc.nat(3), seed: fc.nat(10_000) }) },
  { weight: 1, arbitrary: fc.record({ remove: fc.nat(10) }) },
);

it('holds what an exact store holds after any run of changes', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(change, { maxLength: 120 }), async (changes) => {
      const index = createNamespaceIndex(kernel);
      const exact = createExactVectorStore();
      for (const step of changes) {
        if ('remove' in step) {
          index.removeDocuments([`d${step.remove}`]);
          await exact.deleteDocuments(namespace, [`d${step.remove}`]);
        } else {
          const vector = clusteredVector({ seed: step.seed, cluster: step.put, dimensions });
          const ids = { documentId: `d${step.put % 11}`, sourceId: `s${step.put % 3}`, window: step.window };
          const added = record(`c${step.put}`, vector, ids);
          index.put(added);
          await exact.upsert(namespace, [added]);
        }
      }
      const vector = clusteredVector({ seed: 77, cluster: 3, dimensions });
      for (const sourceIds of [null, ['s0', 's2']]) {
        const filter = sourceIds === null ? {} : { filter: { sourceIds } };
        const expected = await exact.search(namespace, { vector, limit: 40, ...filter });
        const found = index.search(vector, 40, sourceIds);
        expect(found.map(({ chunkId }) => chunkId)).toEqual(expected.map(({ chunkId }) => chunkId));
      }
    }),
    { numRuns: 60 },
  );
});

it('gives equal hits in one order, however it came to what it holds', () => {
  const put = (index: NamespaceIndex, number: number) => {
    const vector = clusteredVector({ seed: number % 3, cluster: 1, dimensions });
    index.put(record(`c${String(number).padStart(3, '0')}`, vector, { documentId: `d${number}` }));
  };
  const trained = createNamespaceIndex(kernel);
  for (let number = 400; number > 0; number -= 1) put(trained, number);
  trained.removeDocuments(Array.from({ length: 40 }, (_, number) => `d${number * 7 + 1}`));
  const readBack = createNamespaceIndex(kernel);
  for (let number = 1; number <= 400; number += 1)
    if (trained.has(`c${String(number).padStart(3, '0')}`, 0)) put(readBack, number);
  const vector = clusteredVector({ seed: 1, cluster: 1, dimensions });
  expect(readBack.search(vector, 10, null)).toEqual(trained.search(vector, 10, null));
});

it('gives memory back', () => {
  const index = createNamespaceIndex(kernel);
  const fill = (): void => {
    for (let seed = 0; seed < 1000; seed += 1) {
      const vector = clusteredVector({ seed, cluster: 1, dimensions: 64 });
      index.put(record(`c${seed}`, vector, { documentId: `d${seed % 10}` }));
    }
  };
  fill();
  const grown = index.bytes;
  index.compact();
  const full = index.bytes;
  expect(full).toBeLessThan(grown);
  expect(full).toBeGreaterThan(1000 * 64 * 5);
  index.removeDocuments(Array.from({ length: 9 }, (_, number) => `d${number}`));
  expect(index.bytes).toBeLessThan(full / 2);
  index.removeDocuments(['d9']);
  expect(index.bytes).toBe(0);
});
