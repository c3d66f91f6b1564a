import { decodePostings, type Posting, visitPostings } from './postgres-lexical-bytes.ts';
import type { LexicalState } from './postgres-lexical-reading.ts';

const K1 = 1.2;
const B = 0.75;
/** Of words in more than half of the chunks, which else would count against a chunk. */
const LEAST_WEIGHT = 1e-6;

/** The hits of one term: chunk, length of the chunk and how often it is there (weighted), side by side. */
interface TermHits {
  readonly chunks: number[];
  readonly lengths: number[];
  readonly frequencies: number[];
}

/** BM25 of each chunk that holds at least one of the terms. */
export function scoresOf(
  state: LexicalState,
  phrases: readonly (readonly string[])[],
  titleWeight: number,
): ReadonlyMap<number, number> {
  const scores = new Map<number, number>();
  const averageLength = state.length / Math.max(1, state.chunks);
  for (const phrase of phrases) {
    const [word = ''] = phrase;
    const { chunks, lengths, frequencies } =
      phrase.length === 1 ? hitsOfWord(state, word, titleWeight) : hitsOfPhrase(state, phrase, titleWeight);
    const rarity = Math.log((state.chunks - chunks.length + 0.5) / (chunks.length + 0.5));
    const weight = (rarity > 0 ? rarity : LEAST_WEIGHT) * (K1 + 1);
    for (let each = 0; each < chunks.length; each += 1) {
      const chunk = chunks[each] ?? 0;
      const frequency = frequencies[each] ?? 0;
      const norm = K1 * (1 - B + (B * (lengths[each] ?? 0)) / averageLength);
      scores.set(chunk, (scores.get(chunk) ?? 0) + (weight * frequency) / (frequency + norm));
    }
  }
  return scores;
}

/** The chunks with the highest scores, best first; equal ones in the order of their numbers. */
export function bestOf(scores: ReadonlyMap<number, number>, count: number): readonly number[] {
  // Sorting all of a large index takes longer than reading it; for a large share of them it is the quicker way.
  const best = count * FEW < scores.size ? bestFew(scores, count) : [...scores].sort(byRank).slice(0, count);
  return best.map(([chunk]) => chunk);
}

type Ranked = readonly [chunk: number, score: number];

/** So many times smaller than the whole is few. */
const FEW = 20;

function byRank(one: Ranked, other: Ranked): number {
  return other[1] - one[1] || one[0] - other[0];
}

/** Keeps the best of what it has seen in order; most of the rest is passed over by one comparison. */
function bestFew(scores: ReadonlyMap<number, number>, count: number): readonly Ranked[] {
  const best: Ranked[] = [];
  for (const entry of scores) {
    const last = best[count - 1];
    if (last !== undefined && byRank(entry, last) > 0) continue;
    let [low, high] = [0, best.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (byRank(best[middle] ?? entry, entry) < 0) low = middle + 1;
      else high = middle;
    }
    best.splice(low, 0, entry);
    if (best.length > count) best.pop();
  }
  return best;
}

function hitsOfWord(state: LexicalState, word: string, titleWeight: number): TermHits {
  const hits: TermHits = { chunks: [], lengths: [], frequencies: [] };
  const { removed } = state;
  visitPostings(state.folded.get(word) ?? new Uint8Array(), (chunk, length, { title, body }) => {
    if (removed.size > 0 && removed.has(chunk)) return;
    hits.chunks.push(chunk);
    hits.lengths.push(length);
    hits.frequencies.push(title * titleWeight + body);
  });
  for (const { chunk, length, title, body } of state.unfolded.get(word) ?? []) {
    hits.chunks.push(chunk);
    hits.lengths.push(length);
    hits.frequencies.push(title.length * titleWeight + body.length);
  }
  return hits;
}

function hitsOfPhrase(state: LexicalState, phrase: readonly string[], titleWeight: number): TermHits {
  const hits: TermHits = { chunks: [], lengths: [], frequencies: [] };
  const [first, ...others] = phrase.map((word) => postingsOf(state, word));
  if (first === undefined) return hits;
  const followers = others.map((postings) => new Map(postings.map((posting) => [posting.chunk, posting])));
  for (const { chunk, length, title, body } of first) {
    const here = followers.map((postings) => postings.get(chunk));
    if (here.includes(undefined)) continue;
    const inTitle = countRuns(
      title,
      here.map((posting) => posting?.title ?? []),
    );
    const inBody = countRuns(
      body,
      here.map((posting) => posting?.body ?? []),
    );
    if (inTitle + inBody === 0) continue;
    hits.chunks.push(chunk);
    hits.lengths.push(length);
    hits.frequencies.push(inTitle * titleWeight + inBody);
  }
  return hits;
}

function postingsOf(state: LexicalState, word: string): Posting[] {
  const folded = decodePostings(state.folded.get(word) ?? new Uint8Array());
  return [...folded.filter(({ chunk }) => !state.removed.has(chunk)), ...(state.unfolded.get(word) ?? [])];
}

/** From how many of the places the others follow one by one. */
function countRuns(starts: readonly number[], followers: readonly (readonly number[])[]): number {
  const places = followers.map((each) => new Set(each));
  return starts.filter((start) => places.every((each, step) => each.has(start + step + 1))).length;
}
