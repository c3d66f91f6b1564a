import { createHash } from 'node:crypto';
import { LRUCache } from 'lru-cache';

/** Vectors of recent queries, bounded in bytes. Holds hashes of the texts, not the texts. */
export interface QueryCache {
  get(space: string, text: string): Float32Array | undefined;
  set(space: string, text: string, vector: Float32Array): void;
}

const BYTES_PER_ENTRY_BESIDES = 200;

export function createQueryCache(maxBytes: number): QueryCache {
  const vectors = new LRUCache<string, Float32Array>({
    maxSize: maxBytes,
    sizeCalculation: (vector) => vector.byteLength + BYTES_PER_ENTRY_BESIDES,
  });
  return {
    get: (space, text) => vectors.get(keyOf(space, text)),
    set: (space, text, vector) => void vectors.set(keyOf(space, text), vector),
  };
}

function keyOf(space: string, text: string): string {
  return createHash('sha256').update(space).update('\n').update(text).digest('base64');
}
