import { contentTerms } from '../../llm/index.ts';

/** A small part of a text, end exclusive, with the words in it. */
export interface TextPiece {
  readonly start: number;
  readonly end: number;
  readonly terms: ReadonlySet<string>;
}

/** Behind a mark that may end a sentence, or a line break. */
const BREAK = /[.!?;。！？][)\]"'”’»*_]*\s+|\n+/g;
const SHORTEST_SENTENCE = 80;
const SHORTEST_LINE = 40;
const LONGEST_PIECE = 500;
/** Rows of a table say nothing without the rest of it. */
const LONGEST_TABLE = 2_500;

/** Cuts a text into sentences and lines of 40 to 500 characters that cover it; a table stays one piece. Linear. */
export function textPieces(text: string): readonly TextPiece[] {
  const pieces: { start: number; end: number }[] = [];
  let start = 0;
  for (const { 0: mark, index } of text.matchAll(BREAK)) {
    const end = index + mark.length;
    const atLine = mark.includes('\n');
    if (end - start < (atLine ? SHORTEST_LINE : SHORTEST_SENTENCE)) continue;
    if (isInTable(text, start, end)) continue;
    pieces.push(...bounded(text, start, end));
    start = end;
  }
  if (start < text.length) pieces.push(...bounded(text, start, text.length));
  return pieces.map((piece) => ({ ...piece, terms: new Set(contentTerms(text.slice(piece.start, piece.end))) }));
}

/** Whether the line at the border and the one after it are rows of one table that may stay whole. */
function isInTable(text: string, start: number, end: number): boolean {
  const line = text.lastIndexOf('\n', end - 2) + 1;
  if (text.charAt(line) !== '|') return false;
  const goesOn = text.charAt(end - 1) === '\n' ? text.charAt(end) === '|' : true;
  return goesOn && end - start < LONGEST_TABLE;
}

function* bounded(text: string, from: number, to: number): Generator<{ start: number; end: number }> {
  const longest = text.charAt(from) === '|' || text.slice(from, to).includes('\n|') ? LONGEST_TABLE : LONGEST_PIECE;
  let start = from;
  while (to - start > longest) {
    const blank = text.lastIndexOf(' ', start + longest);
    const unit = text.charCodeAt(start + longest);
    const whole = unit >= 0xdc00 && unit <= 0xdfff ? start + longest - 1 : start + longest;
    const end = blank > start + longest / 2 ? blank + 1 : whole;
    yield { start, end };
    start = end;
  }
  yield { start, end: to };
}
