import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type PineconeStandin, startPineconeStandin } from '../../../test/pinecone-standin/pinecone-standin.ts';
import { type Clock, type LogFields, silentLogger } from '../../kernel/index.ts';
import type { Namespace, VectorStore } from '../../vector-store/index.ts';
import { createVectorTruth, record, unit, type VectorTruth } from '../../vector-store/vector-store.contract.ts';
import { type StoreOver, storeOver } from './pinecone-bed.contract.ts';

const KEY = 'pcsk_canary_0123456789';
const QUICK = { timeout: 20_000, interval: 5 };
const x = unit([1, 0, 0]);
const y = unit([0, 1, 0]);
const namespace: Namespace = { tenantId: 'tnt_1', botId: 'bot_1', generation: 'g1' };
const INDEX = 'chatsphere';
const NAME = 'tnt_1/bot_1/g1';

/** Sleeps are over at once: what waits for Pinecone goes on when it can. */
const hurried: Clock = {
  now: () => Date.now(),
  sleep: (_, signal) =>
    new Promise((resolve, reject) => {
      setImmediate(() => (signal?.aborted ? reject(signal.reason) : resolve()));
    }),
};

describe('Pinecone that misbehaves', () => {
  let standin: PineconeStandin;
  let truth: VectorTruth;
  const stores: VectorStore[] = [];
  beforeEach(async () => {
    standin = await startPineconeStandin({ apiKey: KEY });
    truth = createVectorTruth();
  });
  afterEach(async () => {
    Object.assign(standin.settings, { always: 'none', faults: [] });
    await Promise.all(stores.splice(0).map((store) => store.stop()));
    await standin.stop();
  });
  const open = async (over: Partial<StoreOver> = {}): Promise<VectorStore> => {
    const options = { clock: hurried, ...over.options };
    const store = await storeOver({ standin, truth, dimensions: 3, ...over, options });
    stores.push(store);
    return store;
  };
  const put = async (store: VectorStore, ...ids: readonly string[]): Promise<void> => {
    const records = ids.map((id, at) => record(id, unit([1, at / 10, 0])));
    truth.put(namespace, records);
    await store.upsert(namespace, records);
  };
  const found = async (store: VectorStore, limit = 10): Promise<readonly string[]> =>
    (await store.search(namespace, { vector: x, limit })).map(({ chunkId }) => chunkId);
  /** Searched once, and compared with the truth behind it. */
  const settled = async (store: VectorStore): Promise<void> => {
    await found(store);
    await vi.waitFor(() => expect(calls('/describe_index_stats')).toBe(1), QUICK);
    await vi.waitFor(() => expect(standin.open()).toBe(0), QUICK);
  };
  const calls = (path: string): number => standin.requests.filter((request) => request.path === path).length;
  const held = (): readonly string[] => standin.contentOf(INDEX)[NAME] ?? [];

  it.each([
    ['rate-limit', { retryAfterSeconds: 0 }],
    ['rate-limit', { retryAfterSeconds: 7 }],
    ['error', {}],
    ['unavailable', {}],
    ['cut', {}],
    ['cut-body', {}],
    ['no-json', {}],
  ] as const)('is asked again after %s %o', async (fault, settings) => {
    const waits: number[] = [];
    const clock: Clock = {
      ...hurried,
      sleep: (milliseconds, signal) => {
        waits.push(milliseconds);
        return hurried.sleep(milliseconds, signal);
      },
    };
    const store = await open({ options: { clock } });
    Object.assign(standin.settings, { struck: ['/vectors/upsert'], faults: [fault, fault], ...settings });
    await put(store, 'a');
    expect(calls('/vectors/upsert')).toBe(3);
    expect(held()).toEqual(['doc-of-a#a#0']);
    const asked = 'retryAfterSeconds' in settings ? settings.retryAfterSeconds * 1000 : 0;
    expect(waits.filter((wait) => wait >= asked).length).toBeGreaterThanOrEqual(2);
  });

  it('is not asked again when its plan is used up or the key is wrong', async () => {
    const store = await open();
    await put(store, 'a');
    await settled(store);
    Object.assign(standin.settings, { struck: ['/query'], always: 'quota' });
    await expect(found(store)).rejects.toMatchObject({ code: 'provider_quota_exhausted', retryable: false });
    Object.assign(standin.settings, { always: 'unauthorized' });
    const before = calls('/query');
    await expect(found(store)).rejects.toMatchObject({ code: 'provider_authentication_failed', retryable: false });
    expect(calls('/query')).toBe(before + 1);
    Object.assign(standin.settings, { always: 'none' });
    expect(await found(store)).toEqual(['a']);
  });

  it('never says the key, in no error and no log', async () => {
    const said: unknown[] = [];
    const listen = (fields: LogFields, message: string): void => void said.push(fields, message);
    const logger = { ...silentLogger, info: listen, warn: listen, error: listen };
    const store = await open({ options: { logger } });
    await put(store, 'a');
    Object.assign(standin.settings, { struck: ['/query'] });
    for (const fault of ['rate-limit', 'error', 'unauthorized', 'cut', 'cut-body', 'no-json'] as const) {
      Object.assign(standin.settings, { always: fault });
      const error: unknown = await found(store).catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(Error);
      said.push(error);
    }
    expect(everythingIn(said)).not.toContain(KEY);
    expect(everythingIn(said)).toContain('provider_');
  });

  it('is left alone for a while once it has failed three questions', async () => {
    const store = await open();
    await put(store, 'a');
    await settled(store);
    Object.assign(standin.settings, { struck: ['/query'], always: 'unavailable' });
    for (let question = 0; question < 3; question += 1) {
      await expect(found(store)).rejects.toMatchObject({ code: 'provider_error' });
    }
    const before = calls('/query');
    await expect(found(store)).rejects.toMatchObject({ code: 'provider_unavailable', retryable: true });
    expect(calls('/query')).toBe(before);
  });

  it('is asked no longer when the caller has left', async () => {
    const store = await open();
    await put(store, 'a');
    await settled(store);
    Object.assign(standin.settings, { struck: ['/query'], always: 'hang' });
    const before = calls('/query');
    const leaving = new AbortController();
    const asked = store.search(namespace, { vector: x, limit: 1 }, leaving.signal);
    await vi.waitFor(() => expect(calls('/query')).toBe(before + 1), QUICK);
    leaving.abort(new Error('left'));
    await expect(asked).rejects.toThrow('left');
    await vi.waitFor(() => expect(standin.open()).toBe(0), QUICK);
  });

  it('shows a change at once here, and tells the truth after it', async () => {
    Object.assign(standin.settings, { lagReads: 1000 });
    const store = await open();
    await put(store, 'a', 'b');
    expect(await found(store)).toEqual(['a', 'b']);
    truth.deleteDocuments(namespace, ['doc-of-a']);
    await store.deleteDocuments(namespace, ['doc-of-a']);
    expect(await found(store)).toEqual(['b']);
    await vi.waitFor(() => expect(held()).toEqual(['doc-of-b#b#0']), QUICK);
  });

  it('finds enough when most of what Pinecone shows was deleted by others', async () => {
    const store = await open();
    const many = Array.from({ length: 400 }, (_, at) => record(`old-${at}`, unit([1, at / 10_000, 0])));
    truth.put(namespace, many);
    await store.upsert(namespace, many);
    await put(store, 'new-1');
    truth.deleteDocuments(
      namespace,
      many.map(({ documentId }) => documentId),
    );
    truth.put(namespace, [record('far', y)]);
    await store.upsert(namespace, [record('far', y)]);
    expect(await found(store, 2)).toEqual(['new-1', 'far']);
  });

  it('makes good in the background what failed to be written', async () => {
    const store = await open();
    await put(store, 'a');
    Object.assign(standin.settings, { struck: ['/vectors/upsert'], always: 'error' });
    await expect(put(store, 'b', 'c')).rejects.toMatchObject({ code: 'provider_error', retryable: true });
    Object.assign(standin.settings, { always: 'none' });
    await vi.waitFor(() => expect(held()).toHaveLength(3), QUICK);
    expect(await found(store)).toHaveLength(3);
  });

  it('deletes in the background when it cannot be done at once', async () => {
    const store = await open();
    await put(store, 'a', 'b');
    Object.assign(standin.settings, { struck: ['/vectors/delete', '/vectors/list'], always: 'unavailable' });
    truth.deleteDocuments(namespace, ['doc-of-a']);
    await store.deleteDocuments(namespace, ['doc-of-a']);
    expect(await found(store)).toEqual(['b']);
    Object.assign(standin.settings, { always: 'none' });
    await vi.waitFor(() => expect(held()).toEqual(['doc-of-b#b#0']), QUICK);
  });

  it('is brought in line after a crash, and what others keep there is left alone', async () => {
    const first = await open();
    await put(first, 'a', 'b');
    await first.upsert(namespace, [record('orphan', y)]);
    const space = standin.indexes.get(INDEX)?.namespaces.get(NAME);
    space?.write({ lagReads: 0 }, (records) => {
      records.delete('doc-of-a#a#0');
      records.set('theirs', { id: 'theirs', values: [0, 0, 1], sparseValues: null, metadata: {} });
    });
    const second = await open();
    expect(await found(second)).toEqual(['b']);
    await vi.waitFor(() => expect(held()).toEqual(['doc-of-a#a#0', 'doc-of-b#b#0', 'theirs']), QUICK);
    expect(await found(second)).toEqual(['a', 'b']);
  });

  it('does not bring back what is deleted while it is made good', async () => {
    const store = await open();
    await put(store, 'a');
    await settled(store);
    standin.settings.struck = ['/vectors/upsert'];
    standin.settings.always = 'error';
    await expect(put(store, 'b')).rejects.toMatchObject({ retryable: true });
    const before = calls('/vectors/upsert');
    // The repair has read the database by the time that it writes.
    await vi.waitFor(() => expect(calls('/vectors/upsert')).toBeGreaterThan(before), QUICK);
    truth.deleteDocuments(namespace, ['doc-of-b']);
    await store.deleteDocuments(namespace, ['doc-of-b']);
    standin.settings.always = 'none';
    const asked = calls('/vectors/upsert');
    await vi.waitFor(() => expect(calls('/vectors/upsert')).toBeGreaterThan(asked), QUICK);
    await vi.waitFor(() => expect(held()).toEqual(['doc-of-a#a#0']), QUICK);
  });

  it('fills an empty index from the database, as when Pinecone is new', async () => {
    truth.put(namespace, [record('a', x), record('b', y), record('empty', unit([0, 0, 0]))]);
    const store = await open();
    expect(await found(store)).toEqual([]);
    // Nothing was written, so no index but the first is there: it is made with the first vector.
    await vi.waitFor(() => expect(held()).toHaveLength(2), QUICK);
    expect(await found(store)).toEqual(['a', 'b']);
  });

  it('starts without Pinecone, and uses it when it is there', async () => {
    Object.assign(standin.settings, { always: 'unavailable' });
    const store = await open();
    await expect(found(store)).rejects.toMatchObject({ retryable: true });
    Object.assign(standin.settings, { always: 'none' });
    await put(store, 'a');
    expect(await found(store)).toEqual(['a']);
  });

  it('does not hold a start up when Pinecone never answers', async () => {
    standin.settings.always = 'hang';
    const store = await open({ options: { startWithinMs: 50 } });
    standin.settings.always = 'none';
    await put(store, 'a');
    expect(await found(store)).toEqual(['a']);
  });

  it('lets writers wait while too much is not shown', async () => {
    Object.assign(standin.settings, { lagReads: 3 });
    const store = await open({ options: { unconfirmedBytes: 5 * 12 } });
    for (let round = 0; round < 10; round += 1) await put(store, `${round}-a`, `${round}-b`);
    expect(calls('/query')).toBeGreaterThanOrEqual(3);
    expect(await found(store, 100)).toHaveLength(20);
  });
});

function everythingIn(value: unknown): string {
  const seen = new Set<unknown>();
  const walk = (part: unknown): string => {
    if (typeof part !== 'object' || part === null) return String(part);
    if (seen.has(part)) return '';
    seen.add(part);
    return Reflect.ownKeys(part)
      .map((key) => walk(Reflect.get(part, key)))
      .join(' ');
  };
  return walk(value);
}
