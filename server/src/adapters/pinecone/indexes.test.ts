import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type PineconeStandin, startPineconeStandin } from '../../../test/pinecone-standin/pinecone-standin.ts';
import type { Namespace, VectorStore } from '../../vector-store/index.ts';
import { createVectorTruth, record, unit } from '../../vector-store/vector-store.contract.ts';
import { storeOver } from './pinecone-bed.contract.ts';
import type { PineconeSettings } from './settings.ts';

const namespace: Namespace = { tenantId: 'tnt_1', botId: 'bot_1', generation: 'g1' };

describe('the indexes at Pinecone', () => {
  let standin: PineconeStandin;
  const stores: VectorStore[] = [];
  const truth = createVectorTruth();
  beforeEach(async () => {
    standin = await startPineconeStandin();
  });
  afterEach(async () => {
    await Promise.all(stores.splice(0).map((store) => store.stop()));
    await standin.stop();
  });
  const open = async (dimensions: number, settings: Partial<PineconeSettings> = {}): Promise<VectorStore> => {
    const store = await storeOver({ standin, truth, dimensions, settings });
    stores.push(store);
    return store;
  };
  const existing = (changes: object): Promise<Response> =>
    fetch(`${standin.url}/indexes`, {
      method: 'POST',
      headers: { 'api-key': standin.settings.apiKey },
      body: JSON.stringify({
        ...{ name: 'chatsphere', dimension: 3, metric: 'cosine' },
        spec: { serverless: { cloud: 'aws', region: 'us-east-1' } },
        ...changes,
      }),
    });
  const widths = (): Record<string, number> =>
    Object.fromEntries([...standin.indexes].map(([name, { dimension }]) => [name, dimension]));
  const write = (store: VectorStore, width: number): Promise<void> => {
    const records = [record('a', unit(Array.from({ length: width }, () => 1)))];
    truth.put(namespace, records);
    return store.upsert({ ...namespace, generation: `g${width}` }, records);
  };

  it('are made when they are missing, and waited for', async () => {
    standin.settings.readyAfterDescribes = 2;
    await open(3, { cloud: 'gcp', region: 'europe-west4', metric: 'dotproduct' });
    expect(standin.indexes.get('chatsphere')).toMatchObject({
      ...{ dimension: 3, metric: 'dotproduct', cloud: 'gcp', region: 'europe-west4' },
      ...{ tags: { made_by: 'chatsphere' }, describes: 2 },
    });
    expect(standin.requests.every(({ apiVersion }) => apiVersion === '2025-01')).toBe(true);
  });

  it('are taken as they are when they fit', async () => {
    await existing({ metric: 'dotproduct' });
    const store = await open(3);
    await write(store, 3);
    expect(widths()).toEqual({ chatsphere: 3 });
    expect(standin.requests.filter(({ method, path }) => method === 'POST' && path === '/indexes')).toHaveLength(1);
  });

  it.each([
    [{ dimension: 8 }, {}, /has 8 dimensions, and the embedder makes 3\. Name another index with PINECONE_INDEX/],
    [{ metric: 'euclidean' }, {}, /metric euclidean/],
    [{}, { sparse: true }, /metric cosine, and PINECONE_SPARSE needs dotproduct/],
    [{ vector_type: 'sparse' }, {}, /sparse vectors alone/],
  ])('that do not fit are refused: %o %o', async (changes, settings, message) => {
    await existing(changes);
    const started = open(3, settings);
    await expect(started).rejects.toMatchObject({
      code: 'configuration_invalid',
      message: expect.stringMatching(message),
    });
    const direct = open(3, { ...settings, host: standin.hostOf('chatsphere') });
    if (!('vector_type' in changes)) await expect(direct).rejects.toMatchObject({ code: 'configuration_invalid' });
    else await direct;
  });

  it('that this server made for another embedder stay, beside one of their own width', async () => {
    await write(await open(3), 3);
    const changed = await open(5);
    await write(changed, 5);
    expect(widths()).toEqual({ chatsphere: 3, 'chatsphere-5': 5 });
    await write(changed, 3);
    expect(Object.keys(standin.contentOf('chatsphere'))).toEqual(['tnt_1/bot_1/g3']);
    await changed.deleteNamespace({ ...namespace, generation: 'g3' });
    expect(standin.contentOf('chatsphere')['tnt_1/bot_1/g3']).toEqual([]);
    expect(standin.contentOf('chatsphere-5')['tnt_1/bot_1/g5']).toHaveLength(1);
  });

  it('are reached by their own address, which need not be looked up', async () => {
    await existing({});
    const before = standin.requests.length;
    const store = await open(3, { host: standin.hostOf('chatsphere'), controllerHost: null });
    await write(store, 3);
    expect(standin.requests.slice(before).every(({ plane }) => plane === 'data')).toBe(true);
  });

  it('are found and made at the address of a control plane, too', async () => {
    const store = await open(3, { host: standin.url, controllerHost: null });
    await write(store, 3);
    await write(store, 4);
    expect(widths()).toEqual({ chatsphere: 3, 'chatsphere-4': 4 });
  });

  it('are made once by two processes at the same moment', async () => {
    await Promise.all([open(3), open(3)]);
    expect(widths()).toEqual({ chatsphere: 3 });
  });

  it.each([
    ['answers 404 to everything', 404, '{"message": "no such page"}'],
    ['answers with pages', 200, '<!doctype html><title>Welcome</title>'],
    ['takes no such requests', 405, ''],
  ])('are not looked for where something else %s', async (_, status, body) => {
    const other = createServer((_request, response) => response.writeHead(status).end(body)).listen(0, '127.0.0.1');
    await once(other, 'listening');
    const host = `http://127.0.0.1:${(other.address() as AddressInfo).port}`;
    for (const [settings, name] of [
      [{ host, controllerHost: null }, 'PINECONE_HOST'],
      [{ host: null, controllerHost: host }, 'PINECONE_CONTROLLER_HOST'],
    ] as const) {
      await expect(open(3, settings)).rejects.toMatchObject({
        code: 'configuration_invalid',
        message: expect.stringContaining(`What answers at ${name} (${host}) is no Pinecone`),
      });
    }
    other.close();
  });

  it('refuse the wrong key at the start', async () => {
    await expect(open(3, { apiKey: 'pcsk_wrong' })).rejects.toMatchObject({ code: 'provider_authentication_failed' });
  });
});
