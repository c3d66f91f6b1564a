import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Namespace, ScoredChunk, VectorRecord, VectorStore } from './ports.ts';

/** The durable store's part in the suite: stores that keep nothing themselves read from it. */
export interface VectorTruth {
  put(namespace: Namespace, records: readonly VectorRecord[]): void;
  deleteDocuments(namespace: Namespace, documentIds: readonly string[]): void;
  deleteNamespace(namespace: Namespace): void;
  /** The records of a namespace as they are now, grouped by chunk, windows in order. */
  chunksOf(namespace: Namespace): readonly {
    readonly chunkId: string;
    readonly documentId: string;
    readonly sourceId: string;
    readonly windows: readonly Float32Array[];
  }[];
}

export function createVectorTruth(): VectorTruth {
  const namespaces = new Map<string, Map<string, VectorRecord>>();
  const of = (namespace: Namespace): Map<string, VectorRecord> => {
    const key = JSON.stringify(namespace);
    const known = namespaces.get(key) ?? new Map<string, VectorRecord>();
    namespaces.set(key, known);
    return known;
  };
  return {
    put(namespace, records) {
      for (const record of records) of(namespace).set(`${record.chunkId} ${record.window}`, record);
    },
    deleteDocuments(namespace, documentIds) {
      const known = of(namespace);
      for (const [key, { documentId }] of known) if (documentIds.includes(documentId)) known.delete(key);
    },
    deleteNamespace: (namespace) => of(namespace).clear(),
    chunksOf(namespace) {
      const chunks = new Map<
        string,
        { chunkId: string; documentId: string; sourceId: string; windows: Float32Array[] }
      >();
      for (const { chunkId, documentId, sourceId, window, vector } of of(namespace).values()) {
        const chunk = chunks.get(chunkId) ?? { chunkId, documentId, sourceId, windows: [] };
        chunk.windows[window] = vector;
        chunks.set(chunkId, chunk);
      }
      return [...chunks.values()];
    },
  };
}

/** A pseudo-random unit vector near the centre that `cluster` names; the same seed gives the same vector. */
export function clusteredVector(options: {
  readonly seed: number;
  readonly cluster: number;
  readonly dimensions: number;
}): Float32Array {
  const noise = randomNumbers(options.seed);
  const centre = randomNumbers(options.cluster + 1_000_003);
  return unit(Array.from({ length: options.dimensions }, () => centre() + 0.7 * noise()));
}

/** What every vector store must do, whatever it is made of. `make` gives a started, empty store over the given truth. */
export function describeVectorStoreContract(name: string, make: (truth: VectorTruth) => Promise<VectorStore>): void {
  describe(`vector store contract: ${name}`, () => {
    let namespace: Namespace;
    let tests = 0;
    const x = unit([1, 0, 0]);
    const y = unit([0, 1, 0]);
    const truth = createVectorTruth();
    let store: VectorStore;

    beforeAll(async () => {
      store = await make(truth);
    });
    afterAll(() => store.stop());
    beforeEach(() => {
      tests += 1;
      namespace = { tenantId: `tnt_${tests}`, botId: 'bot_a', generation: 'g1' };
    });

    const put = async (records: readonly VectorRecord[], into = namespace): Promise<void> => {
      truth.put(into, records);
      await store.upsert(into, records);
    };
    const remove = async (documentIds: readonly string[], from = namespace): Promise<void> => {
      truth.deleteDocuments(from, documentIds);
      await store.deleteDocuments(from, documentIds);
    };
    const search = (vector: Float32Array, limit = 10, from = namespace): Promise<readonly ScoredChunk[]> =>
      store.search(from, { vector, limit });
    const idsOf = async (found: Promise<readonly ScoredChunk[]>): Promise<string[]> =>
      (await found).map(({ chunkId }) => chunkId);

    it('finds nothing in a namespace that it does not know', async () => {
      expect(await search(x)).toEqual([]);
      expect(await store.score(namespace, { vector: x, chunkIds: ['a'] })).toEqual([]);
      await store.deleteDocuments(namespace, ['doc']);
      await store.deleteNamespace(namespace);
    });

    it('orders by cosine of the best window and gives a chunk once', async () => {
      await put([
        record('far', unit([0.2, 1, 0])),
        record('near', unit([0, 0, 1]), { window: 0 }),
        record('near', unit([1, 0.1, 0]), { window: 1 }),
        record('middle', unit([1, 1, 0])),
      ]);
      const found = await search(x);
      expect(found.map(({ chunkId }) => chunkId)).toEqual(['near', 'middle', 'far']);
      expect(found[0]?.score).toBeCloseTo(1 / Math.hypot(1, 0.1), 5);
      expect(found[1]?.score).toBeCloseTo(Math.SQRT1_2, 5);
      expect(await idsOf(search(x, 2))).toEqual(['near', 'middle']);
    });

    it('breaks ties by chunk id', async () => {
      await put(['c', 'a', 'd', 'b'].map((chunkId) => record(chunkId, x)));
      expect(await idsOf(search(x, 3))).toEqual(['a', 'b', 'c']);
    });

    it('keeps tenants, bots and generations apart', async () => {
      const others = [
        { ...namespace, tenantId: `${namespace.tenantId}b` },
        { ...namespace, botId: 'bot_b' },
        { ...namespace, generation: 'g2' },
        { ...namespace, tenantId: `${namespace.tenantId} bot_a`, botId: '' },
      ];
      await put([record('mine', x)]);
      for (const [index, other] of others.entries()) await put([record(`other-${index}`, x)], other);
      expect(await idsOf(search(x))).toEqual(['mine']);
      for (const [index, other] of others.entries()) {
        expect(await idsOf(search(x, 10, other))).toEqual([`other-${index}`]);
      }
      truth.deleteNamespace(namespace);
      await store.deleteNamespace(namespace);
      expect(await search(x)).toEqual([]);
      expect(await idsOf(search(x, 10, others[1]))).toEqual(['other-1']);
    });

    it('replaces by chunk and window', async () => {
      await put([record('a', x), record('b', unit([1, 1, 0]))]);
      expect(await idsOf(search(x))).toEqual(['a', 'b']);
      await put([record('a', y)]);
      expect(await search(x)).toMatchObject([{ chunkId: 'b' }, { chunkId: 'a', score: 0 }]);
    });

    it('forgets deleted documents and only those', async () => {
      await put([
        record('a1', x, { documentId: 'a' }),
        record('a2', y, { documentId: 'a' }),
        record('b1', unit([1, 1, 0]), { documentId: 'b' }),
        record('c1', unit([1, 0, 1]), { documentId: 'c' }),
      ]);
      expect(await search(x)).toHaveLength(4);
      await remove(['a', 'unknown']);
      expect(await idsOf(search(y))).toEqual(['b1', 'c1']);
      expect(await store.score(namespace, { vector: x, chunkIds: ['a1'] })).toEqual([]);
      await put([record('a3', x, { documentId: 'a' })]);
      expect(await idsOf(search(x, 1))).toEqual(['a3']);
    });

    it('searches only the sources of the filter', async () => {
      await put([
        record('a', x, { sourceId: 'one' }),
        record('b', unit([1, 1, 0]), { sourceId: 'two' }),
        record('c', y, { sourceId: 'three' }),
      ]);
      const within = (sourceIds: readonly string[]): Promise<string[]> =>
        idsOf(store.search(namespace, { vector: x, limit: 10, filter: { sourceIds } }));
      expect(await within(['two', 'three', 'unknown'])).toEqual(['b', 'c']);
      expect(await within([])).toEqual([]);
    });

    it('scores given chunks and leaves out those it does not have', async () => {
      await put([record('a', x, { window: 0 }), record('a', y, { window: 1 }), record('b', unit([1, 1, 0]))]);
      const scores = await store.score(namespace, { vector: y, chunkIds: ['b', 'missing', 'a', 'a'] });
      expect(new Map(scores.map(({ chunkId, score }) => [chunkId, score]))).toEqual(
        new Map([
          ['a', expect.closeTo(1, 5)],
          ['b', expect.closeTo(Math.SQRT1_2, 5)],
        ]),
      );
    });

    it('never matches vectors that hold nothing', async () => {
      await put([
        record('zero', unit([0, 0, 0])),
        record('broken', new Float32Array([Number.NaN, 1, 0])),
        record('a', x),
      ]);
      expect(await idsOf(search(x))).toEqual(['a']);
      expect(await search(new Float32Array(3))).toEqual([]);
      expect(await search(new Float32Array([Number.NaN, 0, 0]))).toEqual([]);
    });

    it('refuses vectors of another length', async () => {
      await put([record('a', x)]);
      await search(x);
      const mismatch = { code: 'embedding_dimension_mismatch' };
      await expect(store.upsert(namespace, [record('b', unit([1, 0]))])).rejects.toMatchObject(mismatch);
      await expect(search(unit([1, 0]))).rejects.toMatchObject(mismatch);
      expect(await idsOf(search(x))).toEqual(['a']);
    });

    it('gives up when the signal is aborted', async () => {
      await put([record('a', x)]);
      const left = AbortSignal.abort(new Error('left'));
      await expect(store.search(namespace, { vector: x, limit: 1 }, left)).rejects.toThrow('left');
      await expect(store.score(namespace, { vector: x, chunkIds: ['a'] }, left)).rejects.toThrow('left');
      await expect(store.upsert(namespace, [record('b', x)], left)).rejects.toThrow('left');
      await expect(store.deleteDocuments(namespace, ['doc'], left)).rejects.toThrow('left');
      expect(await idsOf(search(x))).toEqual(['a']);
    });

    it('keeps its head when changes and searches run together', async () => {
      const change = async (index: number): Promise<void> => {
        await put([record(`keep-${index}`, x, { documentId: `keep-${index}` })]);
        await put([record(`drop-${index}`, y, { documentId: `drop-${index}` })]);
        await remove([`drop-${index}`]);
      };
      const jobs = Array.from({ length: 40 }, (_, index) => [change(index), search(x), search(y)]).flat();
      await Promise.all(jobs);
      expect(new Set(await idsOf(search(x, 100)))).toEqual(
        new Set(Array.from({ length: 40 }, (_, index) => `keep-${index}`)),
      );
    });

    it('recalls at least 99 % of the true top 10 and always the first', async () => {
      const dimensions = 64;
      const records = Array.from({ length: 3000 }, (_, index) =>
        record(`chunk-${index}`, clusteredVector({ seed: index, cluster: index % 40, dimensions })),
      );
      await put(records);
      let recalled = 0;
      for (let query = 0; query < 50; query += 1) {
        const vector = clusteredVector({ seed: 900_000 + query, cluster: query, dimensions });
        const exact = bruteForce(records, vector).slice(0, 10);
        const found = await idsOf(search(vector, 10));
        expect(found[0]).toBe(exact[0]);
        recalled += found.filter((chunkId) => exact.includes(chunkId)).length;
      }
      expect(recalled / 500).toBeGreaterThanOrEqual(0.99);
    });
  });
}

export function record(chunkId: string, vector: Float32Array, overrides: Partial<VectorRecord> = {}): VectorRecord {
  return { chunkId, documentId: `doc-of-${chunkId}`, sourceId: 'src', window: 0, vector, ...overrides };
}

/** Scaled to length 1; all zero stays all zero. */
export function unit(components: readonly number[]): Float32Array {
  const length = Math.hypot(...components);
  return Float32Array.from(components, (component) => (length === 0 ? 0 : component / length));
}

function bruteForce(records: readonly VectorRecord[], query: Float32Array): string[] {
  const scored = records.map(({ chunkId, vector }) => ({
    chunkId,
    score: vector.reduce((sum, component, index) => sum + component * (query[index] ?? 0), 0),
  }));
  return scored.sort((one, other) => other.score - one.score).map(({ chunkId }) => chunkId);
}

/** Numbers between -1 and 1 from a seed (mulberry32). */
function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 31 - 1;
  };
}
