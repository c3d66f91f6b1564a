import { questionTerms } from '../../llm/index.ts';
import type { SearchHit } from '../ports.ts';
import { type TextPiece, textPieces } from './text-pieces.ts';

export interface PassageRequest {
  readonly query: string;
  /** Of all passages together, in UTF-16 units. */
  readonly maxCharacters: number;
  readonly maxPassages: number;
}

/** How much a neighbour that holds words of the query counts for a piece. */
const NEIGHBOUR_SHARE = 0.5;
/** Pieces to either side that are handed over with a chosen one. */
const CONTEXT_PIECES = 1;

interface Piece extends TextPiece {
  readonly hit: SearchHit;
  /** Of its chunk, and its place in it. */
  readonly siblings: Piece[];
  readonly position: number;
  readonly words: number;
  chosen: boolean;
  score: number;
}

/**
 * The passages worth reading of the chunks that were found, best first: small pieces (sentences, lines, whole tables) are
 * ranked by the query's words that they and their neighbours hold, rare words counting more, and by the score of their
 * chunk; the best are taken with their neighbours until the budget is used up, and what touches is joined, also by what lies
 * between when there may be no more passages. Each passage is
 * a hit with the text and the offsets of the passage in place of the chunk's.
 */
export function cutPassages(hits: readonly SearchHit[], request: PassageRequest): readonly SearchHit[] {
  const pieces = rankedPieces(hits, request.query);
  const budget = { left: request.maxCharacters, passages: request.maxPassages };
  for (const piece of pieces) {
    if (piece.chosen) continue;
    if (!take(around(piece), budget) && !take([piece], budget)) take(bridgeTo(piece), budget);
  }
  const [best] = pieces;
  if (best !== undefined && !pieces.some(({ chosen }) => chosen)) return [beginningOf(best, request.maxCharacters)];
  return passagesOf(pieces);
}

function rankedPieces(hits: readonly SearchHit[], query: string): readonly Piece[] {
  const terms = [...new Set(questionTerms(query))];
  const chunks = hits.map((hit, rank) => ({ hit, pieces: piecesOf(hit, hits.slice(0, rank)) }));
  const weights = weightsOf(
    terms,
    chunks.map(({ pieces }) => pieces),
  );
  const total = [...weights.values()].reduce((sum, weight) => sum + weight, 0) || 1;
  const wordsOf = ({ terms: held }: TextPiece): number =>
    terms.reduce((sum, term) => sum + (held.has(term) ? (weights.get(term) ?? 0) : 0), 0) / total;
  const all = chunks.flatMap(({ hit, pieces }) => {
    const siblings: Piece[] = [];
    for (const [position, piece] of pieces.entries()) {
      siblings.push({ ...piece, hit, siblings, position, words: wordsOf(piece), chosen: false, score: 0 });
    }
    return siblings;
  });
  for (const piece of all) piece.score = scoreOf(piece);
  return all.sort((one, other) => other.score - one.score);
}

/** Without those that a better chunk holds too, where chunks overlap. */
function piecesOf({ chunk }: SearchHit, better: readonly SearchHit[]): readonly TextPiece[] {
  const sharing = better.filter((hit) => hit.chunk.documentId === chunk.documentId);
  const isHeld = ({ start, end }: TextPiece): boolean =>
    sharing.some((hit) => chunk.start + start >= hit.chunk.start && chunk.start + end <= hit.chunk.end);
  return textPieces(chunk.text).filter((piece) => !isHeld(piece));
}

/** A word counts the more, the fewer of the chunks hold it. */
function weightsOf(terms: readonly string[], chunks: readonly (readonly TextPiece[])[]): ReadonlyMap<string, number> {
  return new Map(
    terms.map((term) => {
      const holding = chunks.filter((pieces) => pieces.some((piece) => piece.terms.has(term))).length;
      return [term, Math.log(1 + (chunks.length + 0.5) / (holding + 0.5))];
    }),
  );
}

function scoreOf({ hit, siblings, position, words }: Piece): number {
  const beside = Math.max(siblings[position - 1]?.words ?? 0, siblings[position + 1]?.words ?? 0);
  return words + NEIGHBOUR_SHARE * beside + hit.score;
}

function around({ siblings, position }: Piece): readonly Piece[] {
  return siblings.slice(Math.max(0, position - CONTEXT_PIECES), position + CONTEXT_PIECES + 1);
}

/** The pieces from the nearest chosen one of the chunk to this one, so that both become one passage; none without such. */
function bridgeTo({ siblings, position }: Piece): readonly Piece[] {
  const before = siblings.findLastIndex((piece, place) => place < position && piece.chosen);
  const after = siblings.findIndex((piece, place) => place > position && piece.chosen);
  if (before < 0 && after < 0) return [];
  const isBefore = after < 0 || (before >= 0 && position - before <= after - position);
  return isBefore ? siblings.slice(before, position + 1) : siblings.slice(position, after + 1);
}

/** Takes all of these neighbours or none. */
function take(pieces: readonly Piece[], budget: { left: number; passages: number }): boolean {
  const fresh = pieces.filter(({ chosen }) => !chosen);
  const cost = fresh.reduce((sum, { start, end }) => sum + end - start, 0);
  if (cost > budget.left) return false;
  const first = pieces[0];
  if (first === undefined) return true;
  const { siblings } = first;
  const before = runsOf(siblings);
  for (const piece of fresh) piece.chosen = true;
  const more = runsOf(siblings) - before;
  if (more > budget.passages) {
    for (const piece of fresh) piece.chosen = false;
    return false;
  }
  budget.passages -= more;
  budget.left -= cost;
  return true;
}

function runsOf(siblings: readonly Piece[]): number {
  return siblings.filter(({ chosen }, position) => chosen && siblings[position - 1]?.chosen !== true).length;
}

/** Joined runs of chosen pieces, in the order of their best piece. */
function passagesOf(ranked: readonly Piece[]): readonly SearchHit[] {
  const done = new Set<Piece>();
  return ranked.flatMap((piece) => {
    if (!piece.chosen || done.has(piece)) return [];
    let first = piece.position;
    let last = piece.position;
    while (piece.siblings[first - 1]?.chosen === true) first -= 1;
    while (piece.siblings[last + 1]?.chosen === true) last += 1;
    const run = piece.siblings.slice(first, last + 1);
    for (const member of run) done.add(member);
    return [passageOf(piece.hit, run[0]?.start ?? 0, run.at(-1)?.end ?? 0)];
  });
}

function beginningOf({ hit, start, end }: Piece, maxCharacters: number): SearchHit {
  const limit = Math.min(end, start + maxCharacters);
  const blank = hit.chunk.text.lastIndexOf(' ', limit);
  return passageOf(hit, start, limit < end && blank > start ? blank : limit);
}

function passageOf(hit: SearchHit, from: number, to: number): SearchHit {
  const { chunk } = hit;
  const raw = chunk.text.slice(from, to);
  const first = from + raw.length - raw.trimStart().length;
  const text = raw.trim();
  const start = chunk.start + first;
  return { ...hit, chunk: { ...chunk, text, start, end: start + text.length } };
}
