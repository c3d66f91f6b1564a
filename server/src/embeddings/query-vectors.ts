import { type ByteCache, sharedCacheKey } from '../cache/index.ts';

/** Vectors of recent queries. Holds hashes of the texts, not the texts. */
export interface QueryVectors {
  get(space: string, text: string): Promise<Float32Array | null>;
  /** Does not have to be waited for. */
  keep(space: string, text: string, vector: Float32Array): void;
}

const DAY_MS = 86_400_000;

/** `scope`: what the vectors depend on beside their space, for example the address of the provider. */
export function createQueryVectors(cache: ByteCache, scope: string): QueryVectors {
  const keyOf = (space: string, text: string) => sharedCacheKey('embedding', [scope, space, text]);
  return {
    async get(space, text) {
      const bytes = await cache.get(keyOf(space, text));
      return bytes === null || bytes.byteLength % 4 !== 0 ? null : new Float32Array(Uint8Array.from(bytes).buffer);
    },
    keep(space, text, { buffer, byteOffset, byteLength }) {
      // A copy: whoever has the vector may alter it.
      const bytes = Uint8Array.from(new Uint8Array(buffer, byteOffset, byteLength));
      cache.set(keyOf(space, text), bytes, DAY_MS).catch(() => {});
    },
  };
}
