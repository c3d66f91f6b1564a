import type { Meter } from '../../kernel/index.ts';
import type { Bot, ChunkRepository, FoundChunk, SourceRepository } from '../../store/index.ts';
import type { ScoredChunk, SearchFilter } from '../../vector-store/index.ts';
import type { Searcher, SearchHit, SearchRequest, SearchResult } from '../ports.ts';
import { withCarriedWords } from './follow-up-query.ts';
import { type FusionWeights, fuse } from './fusion.ts';
import { type Candidates, findCandidates, type HybridSearchOptions } from './hybrid-candidates.ts';
import { cutPassages } from './passages.ts';

const DEFAULT_RESULTS = 10;
const MAX_RESULTS = 50;
/** Each side is asked for at least this many; measured, 100 changed nDCG@10 by less than .003 either way. */
const MIN_CANDIDATES = 50;
/** Candidates read beyond those wanted, so that ids which the store no longer has do not shorten the list. */
const SPARE_CANDIDATES = 10;
/** Chunks that passages are cut from; more did not measure better. */
const CHUNKS_FOR_PASSAGES = 20;

export interface SearcherOptions extends HybridSearchOptions {
  readonly store: {
    forTenant(tenantId: string): {
      readonly chunks: Pick<ChunkRepository, 'getSearchable'>;
      readonly sources: Pick<SourceRepository, 'findIds'>;
    };
  };
  readonly meter: Meter;
}

/**
 * Hybrid search over one bot: BM25 and every space of vectors at the same time, missing scores completed, fused by `fuse`. What the
 * store no longer shows is never returned, whatever an index says.
 */
export function createSearcher(options: SearcherOptions): Searcher {
  const { store, clock, meter } = options;

  /** Null when the filter leaves nothing to search. */
  async function filterOf(bot: Bot, request: SearchRequest): Promise<SearchFilter | null> {
    if (request.filter === undefined) return {};
    const sourceIds = await store.forTenant(bot.tenantId).sources.findIds(bot.id, request.filter);
    return sourceIds.length === 0 ? null : { sourceIds };
  }

  async function search(bot: Bot, request: SearchRequest, signal?: AbortSignal): Promise<SearchResult> {
    const query = withCarriedWords(request.query, request.messages ?? []);
    const filter = await filterOf(bot, request);
    if (filter === null) return { query, hits: [], lexicalOnly: false };
    const wanted = resultsWanted(bot, request);
    const candidates = await findCandidates(options, {
      bot,
      query,
      limit: Math.max(MIN_CANDIDATES, wanted + SPARE_CANDIDATES),
      filter,
      signal,
      onEmbedding: request.onEmbedding,
    });
    const threshold = request.scoreThreshold ?? bot.retrieval.scoreThreshold ?? 0;
    const ranked = rank(candidates, weightsOf(bot, request, candidates)).filter(({ score }) => score >= threshold);
    signal?.throwIfAborted();
    const { passages } = request;
    const chunksWanted = passages === undefined ? wanted : Math.max(wanted, CHUNKS_FOR_PASSAGES);
    const found = await readHits({ bot, ranked, candidates, wanted: chunksWanted });
    const hits = passages === undefined ? found : cutPassages(found, { query, maxPassages: wanted, ...passages });
    return { query, hits, lexicalOnly: candidates.lexicalOnly };
  }

  async function readHits({ bot, ranked, candidates, wanted }: Reading): Promise<readonly SearchHit[]> {
    const { chunks } = store.forTenant(bot.tenantId);
    const hits: SearchHit[] = [];
    const batch = wanted + SPARE_CANDIDATES;
    for (let start = 0; start < ranked.length && hits.length < wanted; start += batch) {
      const part = ranked.slice(start, start + batch);
      const found = await chunks.getSearchable(
        bot.id,
        part.map(({ chunkId }) => chunkId),
      );
      hits.push(...toHits(part, found, candidates));
    }
    return hits.slice(0, wanted);
  }

  return {
    async search(bot, request, signal) {
      signal?.throwIfAborted();
      const startedAt = clock.now();
      try {
        return await search(bot, request, signal);
      } finally {
        meter.observe('chatsphere_search_duration_seconds', {}, (clock.now() - startedAt) / 1000);
      }
    },
  };
}

interface Reading {
  readonly bot: Bot;
  readonly ranked: readonly ScoredChunk[];
  readonly candidates: Candidates;
  readonly wanted: number;
}

function resultsWanted(bot: Bot, request: SearchRequest): number {
  const asked = request.maxNumResults ?? bot.retrieval.maxNumResults ?? DEFAULT_RESULTS;
  return Math.max(1, Math.min(MAX_RESULTS, asked));
}

function weightsOf(bot: Bot, request: SearchRequest, { embeddingWeight }: Candidates): FusionWeights {
  return request.hybrid ?? bot.retrieval.hybrid ?? { embeddingWeight, textWeight: 1 - embeddingWeight };
}

/** A chunk that holds none of the words has BM25 zero: that is known, not missing, and sets the scale's origin. */
function rank({ spaces, lexical }: Candidates, weights: FusionWeights): readonly ScoredChunk[] {
  const ids = new Set([...spaces.flatMap(({ scores }) => scores.map(({ chunkId }) => chunkId)), ...lexical.keys()]);
  const words = lexical.size === 0 ? [] : [...ids].map((chunkId) => ({ chunkId, score: lexical.get(chunkId) ?? 0 }));
  return fuse(spaces, words, weights);
}

function toHits(
  ranked: readonly ScoredChunk[],
  found: readonly FoundChunk[],
  { dense, lexical }: Candidates,
): SearchHit[] {
  const byId = new Map(found.map((chunk) => [chunk.id, chunk]));
  return ranked.flatMap(({ chunkId, score }) => {
    const chunk = byId.get(chunkId);
    if (chunk === undefined) return [];
    return [{ chunk, score, scores: { dense: dense.get(chunkId) ?? null, lexical: lexical.get(chunkId) ?? null } }];
  });
}
