import type { TokenCounter } from '../../llm/index.ts';
import { scanBlocks } from './block-scanner.ts';
import { type Chunker, type Piece, toChunks } from './chunk-making.ts';
import { createRangeSplitter, type Unit } from './range-splitter.ts';
import { type Section, treeOfSections } from './sections.ts';
import { isCaption } from './table-groups.ts';

export interface ChunkerOptions {
  readonly tokens: TokenCounter;
  /** The size that chunks aim at. */
  readonly targetTokens: number;
  /** No chunk is larger. */
  readonly maxTokens: number;
}

/** What the functions below work with. */
interface Making extends ChunkerOptions {
  readonly text: string;
}

/** Sums of counts are close, not exact: above this share of the maximum a piece is counted as it stands. */
const SURE_SHARE = 0.9;
/** A section below this share of the target is small enough to share a chunk with its neighbours. */
const TINY_SHARE = 1 / 3;
/** An introduction that ends with a colon stays with what it introduces. */
const LONGEST_INTRODUCTION = 60;

/**
 * A structure- and sentence-aware chunker. Sections under different headings are kept apart unless they are tiny and
 * stand under the same parent; within a section, blocks stay whole while they fit, and lists are cut by items, tables
 * by rows and prose by sentences. Chunks do not overlap and leave out nothing but white space.
 */
export function createChunker(options: ChunkerOptions): Chunker {
  return (content) => {
    const { text, layout, title, sections } = content;
    const making: Making = { ...options, text };
    const split = createRangeSplitter(text, options);
    const unitsOf = ({ blocks }: Pick<Section, 'blocks'>): readonly Unit[] =>
      joinIntroductions(blocks.flatMap(split), making);
    const pieces =
      sections === undefined
        ? mergeTiny(treeOfSections(scanBlocks(text, { start: 0, end: text.length }, layout), title), unitsOf, making)
        : sections.flatMap(({ headingPath, ...range }) =>
            pack(unitsOf({ blocks: scanBlocks(text, range, layout) }), headingPath, making),
          );
    return toChunks(
      content,
      pieces.flatMap((piece) => fit(piece, making)),
    );
  };
}

/** The pieces of a section and of those below it; neighbours of one piece each are joined when one of them is tiny. */
function mergeTiny(section: Section, unitsOf: (section: Section) => readonly Unit[], making: Making): readonly Piece[] {
  const { headingPath } = section;
  const parts = [
    pack(unitsOf(section), headingPath, making),
    ...section.children.map((child) => mergeTiny(child, unitsOf, making)),
  ];
  const done: Piece[] = [];
  let open: Piece | null = null;
  for (const pieces of parts) {
    const only: Piece | undefined = pieces.length === 1 ? pieces[0] : undefined;
    if (open !== null && only !== undefined && mayShare(open, only, making)) {
      open = { start: open.start, end: only.end, tokens: tokensOfBoth(making.text, open, only), headingPath };
      continue;
    }
    if (pieces.length === 0) continue;
    if (open !== null) done.push(open);
    open = only ?? null;
    if (only === undefined) done.push(...pieces);
  }
  if (open !== null) done.push(open);
  return done;
}

function mayShare(one: Piece, other: Piece, { text, targetTokens }: Making): boolean {
  if (tokensOfBoth(text, one, other) > targetTokens) return false;
  return Math.min(one.tokens, other.tokens) < targetTokens * TINY_SHARE;
}

/** Fills pieces with units and cuts as near as can be to even parts, so that the last one is no mere remainder. */
function pack(units: readonly Unit[], headingPath: readonly string[], making: Making): readonly Piece[] {
  const { text, targetTokens, maxTokens } = making;
  const total = units.reduce((sum, unit) => sum + unit.tokens, 0);
  const goal = total <= maxTokens ? maxTokens : total / Math.ceil(total / targetTokens);
  const pieces: Piece[] = [];
  let filled = 0;
  for (const unit of units) {
    const last = pieces.at(-1);
    const tokens = last === undefined ? unit.tokens : tokensOfBoth(text, last, unit);
    const boundary = goal * pieces.length;
    const without = filled;
    filled += unit.tokens;
    if (last !== undefined && tokens <= maxTokens && filled - boundary <= boundary - without) {
      pieces[pieces.length - 1] = { ...last, end: unit.end, tokens };
    } else {
      const path = unit.tableHeader === undefined ? headingPath : [...headingPath, unit.tableHeader];
      pieces.push({ start: unit.start, end: unit.end, tokens: unit.tokens, headingPath: path });
    }
  }
  return pieces;
}

function joinIntroductions(units: readonly Unit[], { text, maxTokens }: Making): readonly Unit[] {
  const joined: Unit[] = [];
  for (const unit of units) {
    const last = joined.at(-1);
    const introduces = last !== undefined && last.tokens <= LONGEST_INTRODUCTION && isIntroduction(text, last);
    const tokens = introduces ? tokensOfBoth(text, last, unit) : unit.tokens;
    if (introduces && tokens <= maxTokens) joined[joined.length - 1] = { ...last, end: unit.end, tokens };
    else joined.push(unit);
  }
  return joined;
}

/** A heading, a caption, or a sentence that ends with a colon. */
function isIntroduction(text: string, { start, end }: Unit): boolean {
  if (isCaption(text.slice(start, end))) return true;
  return text[end - 1] === ':' || (text[start] === '#' && /^#{1,6}[ \t][^\n]*$/.test(text.slice(start, end)));
}

interface Counted {
  readonly start: number;
  readonly end: number;
  readonly tokens: number;
}

/**
 * Tokens of two neighbours with what is between them, a token or two off at most: a line feed is a token of its own only
 * behind a word (behind punctuation it joins that), and a single blank joins the word after it.
 */
function tokensOfBoth(text: string, one: Counted, other: Counted): number {
  const gap = text.slice(one.end, other.start);
  const feed = gap.includes('\n') && /[\p{L}\p{N}]/u.test(text.charAt(one.end - 1)) ? 1 : 0;
  return one.tokens + feed + (/[^\n]{2}$/.test(gap) ? 1 : 0) + other.tokens;
}

/** In the rare case that a piece turns out to be too long after all it is cut. */
function fit(piece: Piece, { text, ...options }: Making): readonly Piece[] {
  if (piece.tokens <= options.maxTokens * SURE_SHARE) return [piece];
  const tokens = options.tokens.count(text.slice(piece.start, piece.end));
  if (tokens <= options.maxTokens) return [{ ...piece, tokens }];
  const units = createRangeSplitter(text, options)({ kind: 'paragraph', start: piece.start, end: piece.end });
  return pack(units, piece.headingPath, { ...options, text, maxTokens: options.maxTokens * SURE_SHARE });
}
