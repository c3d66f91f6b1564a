import { type BestChunks, createBestChunks, type RankedChunk } from './postgres-lexical-best.ts';
import { placeOf, type TermHits } from './postgres-lexical-hits.ts';

const K1 = 1.2;
const B = 0.75;
/** Of words in more than half of the chunks, which else would count against a chunk. */
const LEAST_WEIGHT = 1e-6;
/** Sums in another order differ in their last digits. */
const SLACK = 1 + 1e-9;
const CHUNKS_A_SLICE = 2_000;
/** After the last chunk. */
const END = Number.POSITIVE_INFINITY;

/** What an index knows of some terms, at one moment. */
export interface LexicalState {
  /** Chunks in the index, and the words of all of them together. */
  readonly chunks: number;
  readonly length: number;
  /** Hits of each term; a chunk is in one of the two. The folded ones may name removed chunks. */
  readonly terms: readonly { readonly folded: TermHits; readonly unfolded: TermHits }[];
  readonly removed: ReadonlySet<number>;
}

/**
 * The chunks with the highest BM25 of those that hold at least one of the terms, best first; equal ones in the order of their
 * numbers. Exact, but terms that cannot lift a chunk among the best any more are looked up only for what others find (MaxScore:
 * Turtle and Flood, "Query evaluation: strategies and optimizations", 1995). `pause` is awaited now and then.
 */
export async function bestOf(
  state: LexicalState,
  count: number,
  pause: () => Promise<void>,
): Promise<readonly RankedChunk[]> {
  const best = createBestChunks(count);
  const weights = weightsOf(state);
  for (const part of ['folded', 'unfolded'] as const) {
    const merge = createMerge(state, { part, weights, best });
    while (merge(CHUNKS_A_SLICE)) await pause();
  }
  return best.inOrder();
}

/** BM25 of those of the chunks that hold at least one of the terms. */
export function scoresOf(state: LexicalState, chunks: Iterable<number>): ReadonlyMap<number, number> {
  const scores = new Map<number, number>();
  const weights = weightsOf(state);
  const average = averageLength(state);
  for (const chunk of chunks) {
    let [score, isFound] = [0, false];
    for (const [term, { folded, unfolded }] of state.terms.entries()) {
      for (const hits of state.removed.has(chunk) ? [unfolded] : [folded, unfolded]) {
        const at = placeOf(hits.chunks, chunk);
        if (hits.chunks[at] !== chunk) continue;
        isFound = true;
        score += share({ hits, weight: weights[term] ?? 0, average }, at);
      }
    }
    if (isFound) scores.set(chunk, score);
  }
  return scores;
}

/** One term of a merge. */
interface TermList {
  readonly hits: TermHits;
  readonly weight: number;
  readonly average: number;
  /** Where the term is in the query: scores are added up in this order. */
  readonly term: number;
  /** No chunk gets more of this term. */
  readonly most: number;
}

/** Goes through so many chunks; false when it has come to the end. */
type Merge = (chunks: number) => boolean;

function createMerge(
  state: LexicalState,
  of: { readonly part: 'folded' | 'unfolded'; readonly weights: readonly number[]; readonly best: BestChunks },
): Merge {
  const { best } = of;
  const lists = listsOf(state, of.part, of.weights);
  const removed = of.part === 'folded' ? state.removed : new Set<number>();
  const places = new Uint32Array(lists.length);
  /** The next chunk of each list. */
  const heads = Float64Array.from(lists, ({ hits }) => hits.chunks[0] ?? END);
  const shares = new Float64Array(state.terms.length);
  const most = Float64Array.from(lists, (list) => list.most);
  // What the terms up to each can add together.
  let total = 0;
  const mostUpTo = most.map((each) => {
    total += each;
    return total;
  });
  // Terms before this one cannot lift a chunk among the best without one of the others.
  let firstNeeded = 0;
  let least = best.least();

  function raise(): void {
    least = best.least();
    while (firstNeeded < lists.length && (mostUpTo[firstNeeded] ?? 0) * SLACK < least) firstNeeded += 1;
  }

  function nextChunk(): number {
    let next = END;
    for (let each = firstNeeded; each < heads.length; each += 1) {
      const chunk = heads[each] ?? END;
      if (chunk < next) next = chunk;
    }
    return next;
  }

  /** Whether what the chunk can get at most is enough. */
  function mayBeAmongBest(chunk: number): boolean {
    let sum = mostUpTo[firstNeeded - 1] ?? 0;
    for (let each = firstNeeded; each < heads.length; each += 1) {
      if (heads[each] === chunk) sum += most[each] ?? 0;
    }
    return sum * SLACK >= least;
  }

  function passBy(chunk: number): void {
    for (let each = firstNeeded; each < heads.length; each += 1) {
      if (heads[each] !== chunk) continue;
      const place = (places[each] ?? 0) + 1;
      places[each] = place;
      heads[each] = lists[each]?.hits.chunks[place] ?? END;
    }
  }

  function take(list: TermList, place: number): number {
    const added = share(list, place);
    shares[list.term] = added;
    return added;
  }

  /** Finds what each term adds to the chunk; false when that turns out to be too little. */
  function takeAll(chunk: number): boolean {
    shares.fill(0);
    let sum = 0;
    for (let each = firstNeeded; each < heads.length; each += 1) {
      const list = lists[each];
      if (heads[each] === chunk && list !== undefined) sum += take(list, places[each] ?? 0);
    }
    for (let each = firstNeeded - 1; each >= 0; each -= 1) {
      if ((sum + (mostUpTo[each] ?? 0)) * SLACK < least) return false;
      const list = lists[each];
      if (list === undefined) continue;
      const place = placeOf(list.hits.chunks, chunk, places[each]);
      places[each] = place;
      if (list.hits.chunks[place] === chunk) sum += take(list, place);
    }
    return sum * SLACK >= least;
  }

  raise();
  return (chunks) => {
    for (let left = chunks; left > 0; left -= 1) {
      const chunk = nextChunk();
      if (chunk === END) return false;
      const isWanted = mayBeAmongBest(chunk) && takeAll(chunk) && !removed.has(chunk);
      passBy(chunk);
      if (!isWanted) continue;
      best.offer(
        chunk,
        shares.reduce((sum, each) => sum + each, 0),
      );
      raise();
    }
    return true;
  };
}

/** Those that add the least first. */
function listsOf(state: LexicalState, part: 'folded' | 'unfolded', weights: readonly number[]): readonly TermList[] {
  const average = averageLength(state);
  return state.terms
    .map((hitsOf, term) => {
      const hits = hitsOf[part];
      const weight = weights[term] ?? 0;
      return {
        hits,
        weight,
        average,
        term,
        most: bm25(weight, hits.highestFrequency, norm(hits.shortestLength, average)),
      };
    })
    .filter(({ hits }) => hits.chunks.length > 0)
    .sort((one, other) => one.most - other.most);
}

function share(of: Pick<TermList, 'hits' | 'weight' | 'average'>, place: number): number {
  const { lengths, frequencies } = of.hits;
  return bm25(of.weight, frequencies[place] ?? 0, norm(lengths[place] ?? 0, of.average));
}

function bm25(weight: number, frequency: number, normalisation: number): number {
  return (weight * frequency) / (frequency + normalisation);
}

function norm(length: number, average: number): number {
  return K1 * (1 - B + (B * length) / average);
}

function averageLength({ chunks, length }: LexicalState): number {
  return length / Math.max(1, chunks);
}

/** By the rarity of each term. */
function weightsOf({ chunks, terms, removed }: LexicalState): readonly number[] {
  return terms.map(({ folded, unfolded }) => {
    const found = folded.chunks.length - countRemoved(folded.chunks, removed) + unfolded.chunks.length;
    const rarity = Math.log((chunks - found + 0.5) / (found + 0.5));
    return (rarity > 0 ? rarity : LEAST_WEIGHT) * (K1 + 1);
  });
}

function countRemoved(chunks: Float64Array, removed: ReadonlySet<number>): number {
  let count = 0;
  if (removed.size < chunks.length) {
    for (const chunk of removed) if (chunks[placeOf(chunks, chunk)] === chunk) count += 1;
  } else {
    for (const chunk of chunks) if (removed.has(chunk)) count += 1;
  }
  return count;
}
