import type { EmbeddingGenerator } from '../../embeddings/index.ts';
import { type Clock, type Logger, toAppError } from '../../kernel/index.ts';
import {
  type LexicalIndex,
  type Namespace,
  queryTerms,
  type ScoredChunk,
  type SearchFilter,
  type VectorStore,
} from '../../vector-store/index.ts';
import { withinTime } from './time-limit.ts';

/** A query's vector from an embedder in this process, and from one behind a network. */
const LOCAL_EMBEDDING_LIMIT_MS = 250;
const REMOTE_EMBEDDING_LIMIT_MS = 1500;
/** A namespace that has left memory is read from the database within this, or words answer alone this once. */
const VECTOR_SEARCH_LIMIT_MS = 1000;

export interface HybridSearchOptions {
  readonly vectors: VectorStore;
  readonly lexical: LexicalIndex;
  readonly embeddings: EmbeddingGenerator;
  readonly logger: Logger;
  readonly clock: Clock;
}

export interface CandidateRequest {
  readonly bot: Pick<Namespace, 'tenantId' | 'botId'>;
  readonly query: string;
  /** Best chunks that each side is asked for. */
  readonly limit: number;
  readonly filter: SearchFilter;
  readonly signal: AbortSignal | undefined;
}

/** Raw scores of the candidates, by chunk id: the best of each side, completed with what the other side says of them. */
export interface Candidates {
  readonly dense: ReadonlyMap<string, number>;
  readonly lexical: ReadonlyMap<string, number>;
  readonly lexicalOnly: boolean;
}

interface DenseSide {
  readonly vector: Float32Array;
  readonly found: readonly ScoredChunk[];
}

/**
 * Asks words and vectors at the same time. Words must answer; vectors may fail or be late (`lexicalOnly`). Rejects with
 * the lexical index's error or the signal's reason.
 */
export async function findCandidates(options: HybridSearchOptions, request: CandidateRequest): Promise<Candidates> {
  const terms = queryTerms(request.query);
  const [foundByWords, denseSide] = await Promise.all([
    searchWords(options.lexical, terms, request),
    searchVectors(options, request),
  ]);
  const foundByVectors = denseSide?.found ?? [];
  const [moreByVectors, moreByWords] = await Promise.all([
    denseSide === null
      ? []
      : scoreVectors(options, { vector: denseSide.vector, ids: missing(foundByWords, foundByVectors) }, request),
    scoreWords(options.lexical, { terms, ids: missing(foundByVectors, foundByWords) }, request),
  ]);
  return {
    dense: byId([...foundByVectors, ...moreByVectors]),
    lexical: byId([...foundByWords, ...moreByWords]),
    lexicalOnly: denseSide === null,
  };
}

async function searchWords(
  lexical: LexicalIndex,
  terms: readonly string[],
  { bot, limit, filter, signal }: CandidateRequest,
): Promise<readonly ScoredChunk[]> {
  return terms.length === 0 ? [] : lexical.search(bot, { terms, limit, filter }, signal);
}

async function scoreWords(
  lexical: LexicalIndex,
  { terms, ids }: { readonly terms: readonly string[]; readonly ids: readonly string[] },
  { bot, signal }: CandidateRequest,
): Promise<readonly ScoredChunk[]> {
  return terms.length === 0 || ids.length === 0 ? [] : lexical.score(bot, { terms, chunkIds: ids }, signal);
}

/** Null when this side could not be asked. */
async function searchVectors(options: HybridSearchOptions, request: CandidateRequest): Promise<DenseSide | null> {
  const { clock, embeddings, vectors } = options;
  const { query, limit, filter, signal } = request;
  try {
    const milliseconds = embeddings.profile.local ? LOCAL_EMBEDDING_LIMIT_MS : REMOTE_EMBEDDING_LIMIT_MS;
    const embedded = await withinTime({ clock, milliseconds, signal }, (within) =>
      embeddings.embed([query], { purpose: 'query', signal: within }),
    );
    const [vector] = embedded.vectors;
    if (vector === undefined) return null;
    const found = await withinTime({ clock, milliseconds: VECTOR_SEARCH_LIMIT_MS, signal }, (within) =>
      vectors.search(namespaceOf(options, request), { vector, limit, filter }, within),
    );
    return { vector, found };
  } catch (error) {
    signal?.throwIfAborted();
    options.logger.warn(
      { code: toAppError(error).code, err: error },
      'Meaning could not be searched; words answer alone.',
    );
    return null;
  }
}

async function scoreVectors(
  options: HybridSearchOptions,
  { vector, ids }: { readonly vector: Float32Array; readonly ids: readonly string[] },
  request: CandidateRequest,
): Promise<readonly ScoredChunk[]> {
  const { clock, vectors, logger } = options;
  if (ids.length === 0) return [];
  try {
    return await withinTime({ clock, milliseconds: VECTOR_SEARCH_LIMIT_MS, signal: request.signal }, (within) =>
      vectors.score(namespaceOf(options, request), { vector, chunkIds: ids }, within),
    );
  } catch (error) {
    request.signal?.throwIfAborted();
    logger.warn({ code: toAppError(error).code, err: error }, 'Vectors of some candidates could not be compared.');
    return [];
  }
}

function namespaceOf({ embeddings }: HybridSearchOptions, { bot }: CandidateRequest): Namespace {
  return { tenantId: bot.tenantId, botId: bot.botId, generation: embeddings.generation };
}

/** Ids of `found` that `others` do not hold. */
function missing(found: readonly ScoredChunk[], others: readonly ScoredChunk[]): string[] {
  const known = new Set(others.map(({ chunkId }) => chunkId));
  return found.map(({ chunkId }) => chunkId).filter((chunkId) => !known.has(chunkId));
}

function byId(chunks: readonly ScoredChunk[]): ReadonlyMap<string, number> {
  return new Map(chunks.map(({ chunkId, score }) => [chunkId, score]));
}
