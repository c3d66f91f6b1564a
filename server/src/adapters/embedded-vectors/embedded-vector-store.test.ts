import type { Worker } from 'node:worker_threads';
import { afterEach, describe, expect, it } from 'vitest';
import { type Logger, silentLogger } from '../../kernel/index.ts';
import type { Namespace, VectorStore } from '../../vector-store/index.ts';
import {
  clusteredVector,
  createVectorTruth,
  describeVectorStoreContract,
  record,
  unit,
  type VectorTruth,
} from '../../vector-store/vector-store.contract.ts';
import { createEmbeddedVectorStore, type EmbeddedVectorStoreOptions } from './index.ts';

const PLENTY = 256 * 1024 * 1024;

async function* inBatches(
  truth: VectorTruth,
  namespace: Namespace,
): ReturnType<EmbeddedVectorStoreOptions['loadNamespace']> {
  const chunks = truth.chunksOf(namespace);
  for (let start = 0; start < chunks.length; start += 500) yield chunks.slice(start, start + 500);
}

describeVectorStoreContract('embedded', async (truth) => {
  const store = createEmbeddedVectorStore({
    loadNamespace: (namespace) => inBatches(truth, namespace),
    memoryCapBytes: PLENTY,
    logger: silentLogger,
  });
  await store.start();
  return store;
});

describeVectorStoreContract('embedded, room for one namespace only', async (truth) => {
  const store = createEmbeddedVectorStore({
    loadNamespace: (namespace) => inBatches(truth, namespace),
    memoryCapBytes: 1,
    logger: silentLogger,
  });
  await store.start();
  return store;
});

describe('embedded vector store', () => {
  const namespace: Namespace = { tenantId: 't', botId: 'b', generation: 'g' };
  const x = unit([1, 0]);
  const stores: VectorStore[] = [];
  afterEach(async () => {
    for (const store of stores.splice(0)) await store.stop();
  });
  const open = async (options: Partial<EmbeddedVectorStoreOptions>): Promise<VectorStore> => {
    const store = createEmbeddedVectorStore({
      loadNamespace: async function* () {},
      memoryCapBytes: PLENTY,
      logger: silentLogger,
      ...options,
    });
    stores.push(store);
    await store.start();
    return store;
  };
  const stored = (chunkId: string) => ({ chunkId, documentId: `doc-of-${chunkId}`, sourceId: 's', windows: [x] });
  const idsIn = async (store: VectorStore, within = namespace): Promise<string[]> =>
    (await store.search(within, { vector: x, limit: 100 })).map(({ chunkId }) => chunkId);

  it('reads a namespace once, however many ask, and answers all when it is there', async () => {
    let loads = 0;
    const store = await open({
      loadNamespace: async function* () {
        loads += 1;
        yield [stored('a')];
      },
    });
    const answers = await Promise.all(Array.from({ length: 20 }, () => idsIn(store)));
    expect(answers.every((ids) => ids[0] === 'a')).toBe(true);
    expect(loads).toBe(1);
  });

  it('finds the same after a restart', async () => {
    const truth = createVectorTruth();
    const records = Array.from({ length: 300 }, (_, seed) =>
      record(`c${seed}`, clusteredVector({ seed, cluster: seed % 7, dimensions: 20 })),
    );
    truth.put(namespace, records);
    const store = await open({ loadNamespace: (asked) => inBatches(truth, asked) });
    const ask = { vector: clusteredVector({ seed: 1, cluster: 1, dimensions: 20 }), limit: 20 };
    const before = await store.search(namespace, ask);
    await store.stop();
    await store.start();
    expect(await store.search(namespace, ask)).toEqual(before);
    expect(before).toHaveLength(20);
  });

  it('lets changes made during a load win over what the load had read', async () => {
    const halfway = createGate();
    const proceed = createGate();
    const store = await open({
      loadNamespace: async function* () {
        yield [stored('deleted-after-it-was-read')];
        halfway.open();
        await proceed.opened;
        yield [stored('deleted-before-it-was-read'), stored('replaced'), stored('untouched')];
      },
    });
    const found = idsIn(store);
    await halfway.opened;
    await store.deleteDocuments(namespace, ['doc-of-deleted-after-it-was-read', 'doc-of-deleted-before-it-was-read']);
    await store.upsert(namespace, [record('added', unit([1, 1])), record('replaced', unit([-1, 0]))]);
    proceed.open();
    expect(await found).toEqual(['untouched', 'added', 'replaced']);
  });

  it('starts over when the namespace is dropped under a load', async () => {
    const truth = createVectorTruth();
    truth.put(namespace, [record('old', x)]);
    const halfway = createGate();
    const proceed = createGate();
    const store = await open({
      loadNamespace: async function* (asked) {
        yield* inBatches(truth, asked);
        halfway.open();
        await proceed.opened;
      },
    });
    const found = idsIn(store);
    await halfway.opened;
    truth.deleteNamespace(namespace);
    await store.deleteNamespace(namespace);
    proceed.open();
    expect(await found).toEqual([]);
  });

  it('hands a failed load to those who wait and tries again for the next', async () => {
    let healthy = false;
    const store = await open({
      loadNamespace: async function* () {
        yield [stored('a')];
        if (!healthy) throw new Error('database away');
      },
    });
    const failed = await Promise.allSettled([idsIn(store), idsIn(store)]);
    expect(failed.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    await store.upsert(namespace, [record('b', x)]);
    healthy = true;
    expect(await idsIn(store)).toEqual(['a']);
  });

  it('leaves a slow load at once when the caller goes, without ending it for others', async () => {
    const proceed = createGate();
    const store = await open({
      loadNamespace: async function* () {
        await proceed.opened;
        yield [stored('a')];
      },
    });
    const controller = new AbortController();
    const impatient = store.search(namespace, { vector: x, limit: 1 }, controller.signal);
    const patient = idsIn(store);
    controller.abort(new Error('left'));
    await expect(impatient).rejects.toThrow('left');
    proceed.open();
    expect(await patient).toEqual(['a']);
  });

  it('evicts the namespace that was used least recently and reads it again when asked', async () => {
    const loads: string[] = [];
    const vectors = Array.from({ length: 64 }, (_, seed) => clusteredVector({ seed, cluster: 1, dimensions: 128 }));
    const store = await open({
      memoryCapBytes: 160_000,
      loadNamespace: async function* ({ botId }) {
        loads.push(botId);
        yield vectors.map((vector, index) => ({ ...stored(`${botId}-${index}`), windows: [vector] }));
      },
    });
    const ask = (botId: string) =>
      store.search(
        { ...namespace, botId },
        { vector: clusteredVector({ seed: 1, cluster: 1, dimensions: 128 }), limit: 1 },
      );
    for (const botId of ['one', 'two', 'one', 'three', 'one', 'two']) await ask(botId);
    expect(loads).toEqual(['one', 'two', 'three', 'two']);
    expect(await ask('three')).toHaveLength(1);
  });

  it('survives the death of its worker and reads its namespaces again', async () => {
    const errors: string[] = [];
    const logger: Logger = { ...silentLogger, error: (_, message) => errors.push(message) };
    let loads = 0;
    const started: Worker[] = [];
    const remember = (worker: Worker): void => void started.push(worker);
    process.on('worker', remember);
    const store = await open({
      logger,
      loadNamespace: async function* () {
        loads += 1;
        yield [stored('a')];
      },
    });
    expect(await idsIn(store)).toEqual(['a']);
    const interrupted = idsIn(store);
    await started[0]?.terminate();
    expect(await interrupted).toEqual(['a']);
    expect(await idsIn(store)).toEqual(['a']);
    process.off('worker', remember);
    expect({ loads, workers: started.length, errors: errors.length }).toEqual({ loads: 2, workers: 2, errors: 1 });
  });

  it('refuses calls once stopped', async () => {
    const store = await open({});
    await store.stop();
    await expect(idsIn(store)).rejects.toMatchObject({ code: 'server_draining' });
  });
});

function createGate(): { readonly opened: Promise<void>; readonly open: () => void } {
  let open = (): void => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open: () => open() };
}
