import { decodePostings, type Posting, visitPostings } from './postgres-lexical-bytes.ts';

/** Hits of one term: chunk, length of the chunk in words and how often it is there (weighted), side by side, chunks ascending. */
export interface TermHits {
  readonly chunks: Float64Array;
  readonly lengths: Uint32Array;
  readonly frequencies: Float64Array;
  readonly highestFrequency: number;
  readonly shortestLength: number;
}

/** Chunk, length, hits and at least one place. */
const LEAST_POSTING_BYTES = 4;

/** What a phrase is found by: encoded postings of its words. */
export function foldedHits(
  folded: ReadonlyMap<string, Uint8Array>,
  phrase: readonly string[],
  titleWeight: number,
): TermHits {
  const [word = '', ...others] = phrase;
  const bytesOf = (each: string): Uint8Array => folded.get(each) ?? new Uint8Array();
  if (others.length > 0) {
    return hitsOfPhrase(
      phrase.map((each) => decodePostings(bytesOf(each))),
      titleWeight,
    );
  }
  const columns = createColumns(Math.ceil(bytesOf(word).length / LEAST_POSTING_BYTES));
  visitPostings(bytesOf(word), (chunk, length, { title, body }) =>
    columns.add(chunk, length, title * titleWeight + body),
  );
  return columns.hits();
}

/** The same for postings that are not encoded. */
export function unfoldedHits(
  unfolded: ReadonlyMap<string, readonly Posting[]>,
  phrase: readonly string[],
  titleWeight: number,
): TermHits {
  return hitsOfPhrase(
    phrase.map((each) => unfolded.get(each) ?? []),
    titleWeight,
  );
}

/** Where a chunk is among the hits, looked for from a place on; where it would be if it is not there. */
export function placeOf(chunks: Float64Array, chunk: number, from = 0): number {
  let [low, step] = [from, 1];
  // What is looked for next is near: steps double until it is passed.
  while (low + step < chunks.length && (chunks[low + step] ?? 0) < chunk) {
    low += step;
    step *= 2;
  }
  let high = Math.min(chunks.length, low + step);
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((chunks[middle] ?? 0) < chunk) low = middle + 1;
    else high = middle;
  }
  return low;
}

function hitsOfPhrase(words: readonly (readonly Posting[])[], titleWeight: number): TermHits {
  const [first = [], ...others] = words;
  const columns = createColumns(first.length);
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
    if (inTitle + inBody > 0) columns.add(chunk, length, inTitle * titleWeight + inBody);
  }
  return columns.hits();
}

/** From how many of the places the others follow one by one. */
function countRuns(starts: readonly number[], followers: readonly (readonly number[])[]): number {
  if (followers.length === 0) return starts.length;
  const places = followers.map((each) => new Set(each));
  return starts.filter((start) => places.every((each, step) => each.has(start + step + 1))).length;
}

interface Columns {
  add(chunk: number, length: number, frequency: number): void;
  hits(): TermHits;
}

function createColumns(capacity: number): Columns {
  const chunks = new Float64Array(capacity);
  const lengths = new Uint32Array(capacity);
  const frequencies = new Float64Array(capacity);
  let end = 0;
  let isAscending = true;
  let last = 0;
  let [highestFrequency, shortestLength] = [0, Number.MAX_SAFE_INTEGER];
  return {
    add(chunk, length, frequency) {
      if (chunk < last) isAscending = false;
      last = chunk;
      if (frequency > highestFrequency) highestFrequency = frequency;
      if (length < shortestLength) shortestLength = length;
      chunks[end] = chunk;
      lengths[end] = length;
      frequencies[end] = frequency;
      end += 1;
    },
    hits() {
      const extremes = { highestFrequency, shortestLength };
      if (isAscending) {
        // Copies, so that what was too much of the capacity is given back.
        const columns = { chunks: chunks.slice(0, end), lengths: lengths.slice(0, end) };
        return { ...columns, frequencies: frequencies.slice(0, end), ...extremes };
      }
      // Lists of writers that worked side by side are joined in the order in which these ended.
      const order = Uint32Array.from({ length: end }, (_, place) => place).sort(
        (one, other) => (chunks[one] ?? 0) - (chunks[other] ?? 0),
      );
      return {
        chunks: Float64Array.from(order, (place) => chunks[place] ?? 0),
        lengths: Uint32Array.from(order, (place) => lengths[place] ?? 0),
        frequencies: Float64Array.from(order, (place) => frequencies[place] ?? 0),
        ...extremes,
      };
    },
  };
}
