import type { Passage, TokenCounter } from '../../llm/index.ts';
import type { SearchHit } from '../ports.ts';
import { cutToFit } from './text-cut.ts';

/** Tokens that a passage's number, markup and line breaks take in a prompt. */
const PASSAGE_OVERHEAD_TOKENS = 12;
/** Unretrieved text between two chunks that is worth taking in to join them, in characters. */
const MAX_GAP_CHARACTERS = 120;

/** A passage with where it stands: `text === document.text.slice(start, end)`. */
export interface PackedPassage extends Passage {
  readonly sourceId: string;
  readonly documentId: string;
  /** Of the best of its chunks, as is the page; `hitAt` tells which chunk an offset is in. */
  readonly chunkId: string;
  readonly externalKey: string | null;
  readonly url: string | null;
  readonly page: number | null;
  readonly start: number;
  readonly end: number;
  /** The chunks it was joined from, in document order. An offset in `text` plus `start` is an offset in the document. */
  readonly hits: readonly SearchHit[];
}

export interface PackingRequest {
  /** Best first. */
  readonly hits: readonly SearchHit[];
  /** Stored texts by document id, to join chunks that do not touch; of other documents only touching ones are joined. */
  readonly documentTexts?: ReadonlyMap<string, string>;
  readonly maxTokens: number;
  readonly counter: TokenCounter;
}

/**
 * Chooses and orders what a model reads: the best hits that fit the token budget (titles and markup counted), without
 * repeats; neighbouring chunks joined; grouped by document (best document first), in document order within. When not
 * even the best hit fits, its beginning is given.
 */
export function packContext(request: PackingRequest): readonly PackedPassage[] {
  const distinct = withoutRepeats(request.hits);
  const chosen = chooseWithinBudget(distinct, request);
  for (;;) {
    const passages = toPassages(chosen, request);
    const worst = chosen.length - 1;
    // The text between joined chunks was not counted when they were chosen.
    if (worst < 1 || tokensOf(passages, request.counter) <= request.maxTokens) return passages;
    chosen.splice(worst, 1);
  }
}

/** Ids of the documents whose text `packContext` needs to join neighbours among these hits. */
export function documentsToJoin(hits: readonly SearchHit[]): readonly string[] {
  const lastEnds = new Map<string, number>();
  const ids = new Set<string>();
  for (const { chunk } of hits.toSorted((one, other) => one.chunk.start - other.chunk.start)) {
    const gap = chunk.start - (lastEnds.get(chunk.documentId) ?? Number.NEGATIVE_INFINITY);
    if (gap > 0 && gap <= MAX_GAP_CHARACTERS) ids.add(chunk.documentId);
    lastEnds.set(chunk.documentId, chunk.end);
  }
  return [...ids];
}

/** The hit behind an offset in a passage's text; between joined chunks, the one before. */
export function hitAt(passage: PackedPassage, offset: number): SearchHit | undefined {
  const position = passage.start + offset;
  const holding = passage.hits.find(({ chunk }) => chunk.start <= position && position < chunk.end);
  return holding ?? passage.hits.findLast(({ chunk }) => chunk.start <= position) ?? passage.hits[0];
}

/** Leaves out hits whose text stands in a better one: equal, or a range within its range. */
function withoutRepeats(hits: readonly SearchHit[]): readonly SearchHit[] {
  const kept: SearchHit[] = [];
  const texts = new Set<string>();
  for (const hit of hits) {
    const text = normalised(hit.chunk.text);
    if (text === '' || texts.has(text) || kept.some((other) => isWithin(hit, other))) continue;
    texts.add(text);
    kept.push(hit);
  }
  return kept;
}

function normalised(text: string): string {
  return text.toLowerCase().replace(/\s+/g, ' ').trim();
}

function isWithin({ chunk }: SearchHit, { chunk: other }: SearchHit): boolean {
  if (chunk.hash === other.hash) return true;
  return chunk.documentId === other.documentId && chunk.start >= other.start && chunk.end <= other.end;
}

function chooseWithinBudget(hits: readonly SearchHit[], { maxTokens, counter }: PackingRequest): SearchHit[] {
  const chosen: SearchHit[] = [];
  let left = maxTokens;
  for (const hit of hits) {
    const cost = costOf(passageOf([hit], hit.chunk.text), counter);
    if (cost > left) continue;
    left -= cost;
    chosen.push(hit);
  }
  const [best] = hits;
  return chosen.length === 0 && best !== undefined ? beginningOf(best, { maxTokens, counter }) : chosen;
}

function beginningOf(
  hit: SearchHit,
  { maxTokens, counter }: Pick<PackingRequest, 'maxTokens' | 'counter'>,
): SearchHit[] {
  const room = maxTokens - costOf(passageOf([hit], ''), counter);
  const text = cutToFit(hit.chunk.text, room, counter);
  if (text === '') return [];
  return [{ ...hit, chunk: { ...hit.chunk, text, end: hit.chunk.start + text.length } }];
}

function toPassages(
  hits: readonly SearchHit[],
  { documentTexts = new Map() }: PackingRequest,
): readonly PackedPassage[] {
  // Hits come best first, so the documents come in the order of their best hit.
  const documentIds = [...new Set(hits.map(({ chunk }) => chunk.documentId))];
  return documentIds
    .map((documentId) => hits.filter(({ chunk }) => chunk.documentId === documentId))
    .flatMap((group) => joinNeighbours(group, documentTexts))
    .map((passage, position) => ({ ...passage, index: position + 1 }));
}

function joinNeighbours(hits: readonly SearchHit[], documentTexts: ReadonlyMap<string, string>): PackedPassage[] {
  const passages: PackedPassage[] = [];
  for (const hit of hits.toSorted((one, other) => one.chunk.start - other.chunk.start)) {
    const last = passages.at(-1);
    const joined = last === undefined ? null : join(last, hit, documentTexts.get(hit.chunk.documentId));
    if (joined === null) passages.push(passageOf([hit], hit.chunk.text));
    else passages.splice(-1, 1, joined);
  }
  return passages;
}

/** Null when the two stand too far apart, or what stands between is not known. */
function join(passage: PackedPassage, hit: SearchHit, document: string | undefined): PackedPassage | null {
  const gap = hit.chunk.start - passage.end;
  const hits = [...passage.hits, hit];
  if (gap <= 0) return passageOf(hits, passage.text + hit.chunk.text.slice(-gap));
  if (document === undefined || gap > MAX_GAP_CHARACTERS) return null;
  return passageOf(hits, document.slice(passage.start, hit.chunk.end));
}

function passageOf(hits: readonly SearchHit[], text: string): PackedPassage {
  const [first] = hits;
  if (first === undefined) throw new RangeError('a passage has at least one chunk');
  const best = hits.reduce((one, other) => (other.score > one.score ? other : one));
  const { start } = first.chunk;
  return {
    index: 1,
    title: best.chunk.documentTitle,
    headingPath: hits.map((hit) => hit.chunk.headingPath).reduce(commonBeginning),
    text,
    score: best.score,
    sourceId: best.chunk.sourceId,
    documentId: best.chunk.documentId,
    chunkId: best.chunk.id,
    externalKey: best.chunk.externalKey,
    url: best.chunk.documentUrl,
    page: best.chunk.page,
    start,
    end: start + text.length,
    hits,
  };
}

function commonBeginning(one: readonly string[], other: readonly string[]): readonly string[] {
  const differs = one.findIndex((heading, level) => heading !== other[level]);
  return differs < 0 ? one : one.slice(0, differs);
}

function tokensOf(passages: readonly PackedPassage[], counter: TokenCounter): number {
  return passages.reduce((sum, passage) => sum + costOf(passage, counter), 0);
}

function costOf({ title, headingPath, text }: PackedPassage, counter: TokenCounter): number {
  return counter.count([title, ...headingPath, text].join('\n')) + PASSAGE_OVERHEAD_TOKENS;
}
