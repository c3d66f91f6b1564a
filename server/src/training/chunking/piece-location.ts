/** A stretch of a text, end exclusive. */
export interface Range {
  readonly start: number;
  readonly end: number;
}

/** Places that are tried for one piece whose white space was changed. */
const MOST_TRIES = 200;

/**
 * Finds pieces of a text in it again, in order; each begins behind the beginning of the one before and at most `overlap`
 * units before its end. Pieces whose white space was changed are found too. Null when one is not in the text.
 */
export function locatePieces(text: string, pieces: readonly string[], overlap: number): readonly Range[] | null {
  const found: Range[] = [];
  let from = 0;
  for (const piece of pieces) {
    const trimmed = piece.trim();
    if (trimmed === '') continue;
    const range = find(text, trimmed, from);
    if (range === null) return null;
    found.push(range);
    from = Math.max(range.start + 1, range.end - overlap);
  }
  return found;
}

/** Stretches with something else than white space that no range covers. Ranges in the order of their start. */
export function uncovered(text: string, ranges: readonly Range[]): readonly Range[] {
  const gaps: Range[] = [];
  let end = 0;
  for (const range of [...ranges, { start: text.length, end: text.length }]) {
    if (range.start > end && /\S/.test(text.slice(end, range.start))) gaps.push({ start: end, end: range.start });
    end = Math.max(end, range.end);
  }
  return gaps;
}

function find(text: string, piece: string, from: number): Range | null {
  const start = text.indexOf(piece, from);
  return start >= 0 ? { start, end: start + piece.length } : findLoosely(text, piece, from);
}

function findLoosely(text: string, piece: string, from: number): Range | null {
  const firstWord = /^\S{1,200}/.exec(piece)?.[0] ?? '';
  let start = text.indexOf(firstWord, from);
  for (let tries = 0; start >= 0 && tries < MOST_TRIES; tries += 1) {
    const end = endOfMatch(text, piece, start);
    if (end !== null) return { start, end };
    start = text.indexOf(firstWord, start + 1);
  }
  return null;
}

/** Where the piece ends that begins at `start`, white space not counted; null when something else stands there. */
function endOfMatch(text: string, piece: string, start: number): number | null {
  let position = start;
  for (let index = 0; index < piece.length; index += 1) {
    const unit = piece.charAt(index);
    if (unit.trim() === '') continue;
    while (position < text.length && text.charAt(position).trim() === '') position += 1;
    if (text.charAt(position) !== unit) return null;
    position += 1;
  }
  return position;
}
