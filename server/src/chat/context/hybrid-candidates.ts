import { type Clock, type Logger, toAppError } from '../../kernel/index.ts';
import { type Bot, indexParts } from '../../store/index.ts';
import {
  type LexicalIndex,
  type LexicalNamespace,
  type Namespace,
  queryTerms,
  type ScoredChunk,
  type SearchFilter,
  type VectorStore,
} from '../../vector-store/index.ts';
import type { SearchRequest, SearchSpace, SearchSpaces } from '../ports.ts';
import type { DenseScores } from './fusion.ts';
import { embedQuery } from './query-embedding.ts';
import { withinTime } from './time-limit.ts';

/** A namespace that has left memory is read from the database within this, or words answer alone this once. */
const VECTOR_SEARCH_LIMIT_MS = 1000;

export interface HybridSearchOptions {
  readonly vectors: VectorStore;
  readonly lexical: LexicalIndex;
  readonly spaces: SearchSpaces;
  readonly logger: Logger;
  readonly clock: Clock;
}

export interface CandidateRequest {
  readonly bot: Bot;
  readonly query: string;
  /** Best chunks that each side is asked for. */
  readonly limit: number;
  readonly filter: SearchFilter;
  readonly signal: AbortSignal | undefined;
  readonly onEmbedding: SearchRequest['onEmbedding'];
}

/** Raw scores of the candidates: the best of each side, completed with what the other sides say of them. */
export interface Candidates {
  /** One for each space that answered. */
  readonly spaces: readonly DenseScores[];
  /** Cosines in the bot's first space, by chunk id. */
  readonly dense: ReadonlyMap<string, number>;
  readonly lexical: ReadonlyMap<string, number>;
  readonly lexicalOnly: boolean;
  /** Share of the dense side that the spaces which answered ask for. */
  readonly embeddingWeight: number;
}

/** What one space found. */
interface DenseSide {
  readonly space: SearchSpace;
  readonly isFirst: boolean;
  readonly vector: Float32Array;
  readonly found: readonly ScoredChunk[];
}

/**
 * Asks words and all spaces of vectors at the same time. Words must answer; vectors may fail or be late. Rejects with
 * the lexical index's error or the signal's reason.
 */
export async function findCandidates(options: HybridSearchOptions, request: CandidateRequest): Promise<Candidates> {
  const terms = queryTerms(request.query);
  // Asked once, so that words and vectors are those of one generation even when another takes over meanwhile.
  const spaces = await options.spaces.of(request.bot);
  const words = { lexical: options.lexical, index: lexicalNamespaceOf(request.bot, spaces), terms };
  const [foundByWords, sides] = await Promise.all([
    searchWords(words, request),
    searchSpaces(options, spaces, { ...request, terms }),
  ]);
  const ids = new Set([foundByWords, ...sides.map(({ found }) => found)].flat().map(({ chunkId }) => chunkId));
  const [moreByWords, ...scores] = await Promise.all([
    scoreWords(words, missing(ids, foundByWords), request),
    ...sides.map((side) => completed(options, side, { ids, request })),
  ]);
  const weights = sides.map(({ space }) => space.weight);
  const first = sides.findIndex(({ isFirst }) => isFirst);
  return {
    spaces: scores.map((side, position) => ({ scores: side, weight: weights[position] ?? 0 })),
    dense: byId(scores[first] ?? []),
    lexical: byId([...foundByWords, ...moreByWords]),
    lexicalOnly: sides.length === 0,
    embeddingWeight: shareOfDense(sides, scores),
  };
}

/**
 * The share that the first space has alone grows to the sum of all shares with the part of its candidates that the other
 * spaces know: while they know few, little changes.
 */
function shareOfDense(sides: readonly DenseSide[], scores: readonly (readonly ScoredChunk[])[]): number {
  const first = sides.findIndex(({ isFirst }) => isFirst);
  const total = sides.reduce((sum, { space }) => sum + space.weight, 0);
  const known = scores[first]?.length ?? 0;
  if (known === 0 || sides.length < 2) return Math.max(total, sides[first]?.space.embeddings.profile.fusionWeight ?? 0);
  const alone = sides[first]?.space.embeddings.profile.fusionWeight ?? total;
  const fewest = Math.min(...scores.map(({ length }) => length));
  return alone + (total - alone) * Math.min(1, fewest / known);
}

interface Words {
  readonly lexical: LexicalIndex;
  readonly index: LexicalNamespace;
  readonly terms: readonly string[];
}

async function searchWords(
  { lexical, index, terms }: Words,
  { limit, filter, signal }: CandidateRequest,
): Promise<readonly ScoredChunk[]> {
  return terms.length === 0 ? [] : lexical.search(index, { terms, limit, filter }, signal);
}

async function scoreWords(
  { lexical, index, terms }: Words,
  ids: readonly string[],
  { signal }: CandidateRequest,
): Promise<readonly ScoredChunk[]> {
  return terms.length === 0 || ids.length === 0 ? [] : lexical.score(index, { terms, chunkIds: ids }, signal);
}

async function searchSpaces(
  options: HybridSearchOptions,
  spaces: readonly SearchSpace[],
  request: CandidateRequest & Pick<Words, 'terms'>,
): Promise<readonly DenseSide[]> {
  const sides = await Promise.all(
    spaces.map((space, position) => searchSpace(options, { space, isFirst: position === 0 }, request)),
  );
  return sides.filter((side) => side !== null);
}

/** Null when this space could not be asked. */
async function searchSpace(
  { clock, vectors, logger }: HybridSearchOptions,
  { space, isFirst }: Pick<DenseSide, 'space' | 'isFirst'>,
  request: CandidateRequest & Pick<Words, 'terms'>,
): Promise<DenseSide | null> {
  const { limit, filter, signal, terms } = request;
  const { embeddings } = space;
  try {
    const vector = await embedQuery(clock, space, request);
    if (vector === undefined) return null;
    const found = await withinTime({ clock, milliseconds: VECTOR_SEARCH_LIMIT_MS, signal }, (within) =>
      vectors.search(namespaceOf(request.bot, space), { vector, limit, filter, terms }, within),
    );
    return { space, isFirst, vector, found };
  } catch (error) {
    signal?.throwIfAborted();
    const { code } = toAppError(error);
    if (isFirst) logger.warn({ code, err: error }, 'Meaning could not be searched; words answer alone.');
    else logger.debug({ code, err: error, embedder: embeddings.profile.id }, 'A space was left out of a search.');
    return null;
  }
}

/** What the space found, and its scores of what others found. */
async function completed(
  { clock, vectors, logger }: HybridSearchOptions,
  { space, vector, found }: DenseSide,
  { ids, request }: { readonly ids: ReadonlySet<string>; readonly request: CandidateRequest },
): Promise<readonly ScoredChunk[]> {
  const chunkIds = missing(ids, found);
  if (chunkIds.length === 0) return found;
  const { bot, signal } = request;
  try {
    const more = await withinTime({ clock, milliseconds: VECTOR_SEARCH_LIMIT_MS, signal }, (within) =>
      vectors.score(namespaceOf(bot, space), { vector, chunkIds }, within),
    );
    return [...found, ...more];
  } catch (error) {
    signal?.throwIfAborted();
    logger.warn({ code: toAppError(error).code, err: error }, 'Vectors of some candidates could not be compared.');
    return found;
  }
}

function idsOf(bot: Bot): Pick<Namespace, 'tenantId' | 'botId'> {
  return { tenantId: bot.tenantId, botId: bot.id };
}

/** The chunk set is that of the first space, which covers the bot. */
function lexicalNamespaceOf(bot: Bot, [first]: readonly SearchSpace[]): LexicalNamespace {
  const chunkSet = first === undefined ? null : indexParts(first.embeddings.generation).chunkSet;
  return { ...idsOf(bot), ...(chunkSet === null ? {} : { chunkSet }) };
}

function namespaceOf(bot: Bot, { embeddings }: SearchSpace): Namespace {
  return { ...idsOf(bot), generation: embeddings.generation };
}

/** Ids that are not among the found. */
function missing(ids: ReadonlySet<string>, found: readonly ScoredChunk[]): string[] {
  const known = new Set(found.map(({ chunkId }) => chunkId));
  return [...ids].filter((chunkId) => !known.has(chunkId));
}

function byId(chunks: readonly ScoredChunk[]): ReadonlyMap<string, number> {
  return new Map(chunks.map(({ chunkId, score }) => [chunkId, score]));
}
