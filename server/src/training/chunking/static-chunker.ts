import type { TokenCounter } from '../../llm/index.ts';
import { scanBlocks } from './block-scanner.ts';
import { type Chunker, type Piece, toChunks } from './chunk-making.ts';
import { createHeadingTrail } from './heading-trail.ts';
import { createRangeSplitter, type Unit } from './range-splitter.ts';

export interface StaticChunkerOptions {
  readonly tokens: TokenCounter;
  /** No chunk is larger. */
  readonly maxTokens: number;
  /** How much of a chunk the next one repeats, at most. Not above half of `maxTokens`. */
  readonly overlapTokens: number;
}

/** What is moved from one chunk to the next as a whole, as a share of a chunk and within these bounds. */
const UNIT_SHARE = 1 / 8;
const SMALLEST_UNIT = 16;
const LARGEST_UNIT = 128;

/**
 * Chunks of one size that overlap, whatever the structure of the text: OpenAI's `static` strategy, but cut between
 * sentences, lines or words. Tables that fit stay whole, under their header. Leaves out nothing but white space.
 */
export function createStaticChunker({ tokens, maxTokens, overlapTokens }: StaticChunkerOptions): Chunker {
  const unitTokens = Math.max(SMALLEST_UNIT, Math.min(LARGEST_UNIT, Math.floor(maxTokens * UNIT_SHARE)));
  return (content) => {
    const { text, layout } = content;
    const split = createRangeSplitter(text, { tokens, maxTokens: unitTokens });
    const splitTable = createRangeSplitter(text, { tokens, maxTokens });
    const units = scanBlocks(text, { start: 0, end: text.length }, layout).flatMap((block) =>
      block.kind === 'table' ? splitTable(block) : split(block),
    );
    const trail = createHeadingTrail(content);
    const pieces: Piece[] = [];
    for (let first = 0; first < units.length; ) {
      const piece = pieceFrom(units, first, { text, tokens, maxTokens });
      pieces.push({ start: piece.start, end: piece.end, tokens: piece.tokens, headingPath: trail(piece.start) });
      first =
        piece.last + 1 < units.length ? backFrom(units, { first, last: piece.last }, overlapTokens) : units.length;
    }
    return toChunks(content, pieces);
  };
}

interface Filled {
  readonly start: number;
  readonly end: number;
  readonly tokens: number;
  readonly last: number;
}

/** As many units as fit, counted as they stand: sums of counts are close, not exact. */
function pieceFrom(
  units: readonly Unit[],
  first: number,
  { text, tokens, maxTokens }: { readonly text: string; readonly tokens: TokenCounter; readonly maxTokens: number },
): Filled {
  let sum = 0;
  let last = first - 1;
  while (last + 1 < units.length && (last < first || sum + tokensOf(units, last + 1) <= maxTokens)) {
    last += 1;
    sum += tokensOf(units, last);
  }
  const start = units[first]?.start ?? 0;
  for (;;) {
    const end = units[last]?.end ?? start;
    const counted = tokens.count(text.slice(start, end));
    if (counted <= maxTokens || last === first) return { start, end, tokens: counted, last };
    last -= 1;
  }
}

/** The unit that the next chunk begins with: behind the last one, less what may be repeated. */
function backFrom(
  units: readonly Unit[],
  { first, last }: { readonly first: number; readonly last: number },
  overlapTokens: number,
): number {
  let next = last + 1;
  for (let repeated = tokensOf(units, last); repeated <= overlapTokens && next - 1 > first; ) {
    next -= 1;
    repeated += tokensOf(units, next - 1);
  }
  return next;
}

function tokensOf(units: readonly Unit[], position: number): number {
  return units[position]?.tokens ?? 0;
}
