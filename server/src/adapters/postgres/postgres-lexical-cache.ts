import { LRUCache } from 'lru-cache';
import type { LexicalNamespace } from '../../vector-store/index.ts';
import type { TermHits } from './postgres-lexical-hits.ts';

/** Hits of terms in the folded chunks, by the version of the index that they were read from. */
export interface LexicalHitsCache {
  /** The version that was last seen; empty: none. */
  lastVersion(bot: LexicalNamespace): string;
  get(version: string, term: string): TermHits | undefined;
  keep(bot: LexicalNamespace, version: string, hits: ReadonlyMap<string, TermHits>): void;
}

const MOST_INDEXES = 10_000;
const MOST_BYTES = 64 * 1024 * 1024;
/** Of an entry without hits. */
const ENTRY_BYTES = 500;

/** Holds at most 64 MB, the latest used. A version names one state of one index, so what is kept is never stale. */
export function createLexicalHitsCache(mostBytes = MOST_BYTES): LexicalHitsCache {
  const versions = new LRUCache<string, string>({ max: MOST_INDEXES });
  const known = new LRUCache<string, TermHits>({
    maxSize: mostBytes,
    sizeCalculation: ({ chunks, lengths, frequencies }) =>
      ENTRY_BYTES + chunks.byteLength + lengths.byteLength + frequencies.byteLength,
  });
  return {
    lastVersion: (bot) => versions.get(nameOf(bot)) ?? '',
    get: (version, term) => known.get(`${version} ${term}`),
    keep(bot, version, hits) {
      versions.set(nameOf(bot), version);
      for (const [term, each] of hits) known.set(`${version} ${term}`, each);
    },
  };
}

function nameOf({ tenantId, botId, chunkSet }: LexicalNamespace): string {
  return JSON.stringify([tenantId, botId, chunkSet]);
}
