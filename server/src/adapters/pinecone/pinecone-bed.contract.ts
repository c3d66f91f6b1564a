import type { PineconeStandin } from '../../../test/pinecone-standin/pinecone-standin.ts';
import { silentLogger, systemClock } from '../../kernel/index.ts';
import type { VectorStore } from '../../vector-store/index.ts';
import type { VectorTruth } from '../../vector-store/vector-store.contract.ts';
import type { PineconeSettings } from './settings.ts';
import { createPineconeVectorStore, type PineconeVectorStoreOptions } from './vector-store.ts';

export interface StoreOver {
  readonly standin: PineconeStandin;
  readonly truth: VectorTruth;
  readonly dimensions: number;
  readonly texts?: ReadonlyMap<string, string>;
  readonly settings?: Partial<PineconeSettings>;
  readonly options?: Partial<PineconeVectorStoreOptions>;
}

export function settingsFor(standin: PineconeStandin, changes: Partial<PineconeSettings> = {}): PineconeSettings {
  return {
    apiKey: standin.settings.apiKey,
    index: 'chatsphere',
    host: null,
    controllerHost: standin.url,
    cloud: 'aws',
    region: 'us-east-1',
    metric: 'cosine',
    sparse: false,
    ...changes,
  };
}

/** A started store whose database is the given truth. */
export async function storeOver(over: StoreOver): Promise<VectorStore> {
  const { standin, truth, dimensions, texts = new Map() } = over;
  const store = createPineconeVectorStore({
    settings: settingsFor(standin, over.settings),
    dimensions,
    dimensionsOf: () => null,
    truth: {
      async *loadNamespace(namespace) {
        yield truth.chunksOf(namespace);
      },
      countVectors: async (namespace) =>
        truth.chunksOf(namespace).reduce((sum, { windows }) => sum + windows.length, 0),
      readVectors: async (namespace, chunkIds) =>
        truth.chunksOf(namespace).filter(({ chunkId }) => chunkIds.includes(chunkId)),
      readTexts: async (_, chunkIds) => new Map(chunkIds.map((id) => [id, texts.get(id) ?? ''])),
    },
    clock: systemClock,
    logger: silentLogger,
    random: Math.random,
    ...over.options,
  });
  await store.start();
  return store;
}
