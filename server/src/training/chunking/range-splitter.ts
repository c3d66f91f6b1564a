import type { TokenCounter } from '../../llm/index.ts';
import type { Block } from './block-scanner.ts';

/** A piece of text that is not cut further: `text.slice(start, end)`, without blanks around it. */
export interface Unit {
  readonly start: number;
  readonly end: number;
  readonly tokens: number;
  /** The header of the table whose later rows these are. */
  readonly tableHeader?: string;
}

interface Range {
  readonly start: number;
  readonly end: number;
}

/** Segmenting more at once is slow and hungry: every segment keeps its whole input. */
const SEGMENTED_AT_ONCE = 4_000;
/** Shorter neighbours (in UTF-16 units) are not told apart: a cut between them would gain nothing. */
const FINEST_CUT = 120;
/** Longer text has more tokens than any chunk; counting it only to learn that would be waste. */
const SURELY_TOO_LONG = 20_000;
const ITEM = /^(?: {0,3})(?:[-*+]|\d{1,9}[.)])[ \t]/;
/** What belongs to the character before it. */
const JOINED = /^(?:\p{M}|\p{Emoji_Modifier}|\u200C|\u200D)/u;

/**
 * Cuts blocks of `text` into units of at most `maxTokens`: a block whole if it fits, else a list by its items, a table
 * or fence by its lines, prose by its sentences (UAX #29), and what is still too long between words or, last,
 * between characters. Time and memory are linear in the length also for one endless line.
 */
export function createRangeSplitter(
  text: string,
  options: { readonly tokens: TokenCounter; readonly maxTokens: number },
): (block: Block) => readonly Unit[] {
  const { maxTokens } = options;
  const sentences = new Intl.Segmenter(undefined, { granularity: 'sentence' });

  function measured(range: Range): Unit | null {
    if (range.end - range.start > SURELY_TOO_LONG) return null;
    const unit = { ...range, tokens: options.tokens.count(text.slice(range.start, range.end)) };
    return unit.tokens <= maxTokens ? unit : null;
  }

  function* splitAll(ranges: Iterable<Range>, further: (range: Range) => Iterable<Unit>): Generator<Unit> {
    for (const range of ranges) {
      const trimmed = trim(text, range);
      if (trimmed.start >= trimmed.end) continue;
      const unit = measured(trimmed);
      if (unit !== null) yield unit;
      else yield* further(trimmed);
    }
  }

  function* splitWords(range: Range): Generator<Unit> {
    const parts = halves(text, range);
    if (parts.length > 1) yield* splitAll(parts, splitWords);
    else yield { ...range, tokens: options.tokens.count(text.slice(range.start, range.end)) };
  }
  const splitSentences = (range: Range): Iterable<Unit> =>
    splitAll(coarse(sentencesOf(text, range, sentences)), splitWords);
  const splitLines = (range: Range): Iterable<Unit> => splitAll(coarse(linesOf(text, range)), splitSentences);
  const splitItems = (range: Range): Iterable<Unit> => splitAll(coarse(itemsOf(text, range)), splitLines);

  return (block) => {
    const whole = trim(text, block);
    const unit = measured(whole);
    if (unit !== null) return [unit];
    switch (block.kind) {
      case 'list':
        return [...splitItems(whole)];
      case 'table':
        return withHeader(text, whole, [...splitLines(whole)]);
      case 'fence':
        return [...splitLines(whole)];
      case 'heading':
      case 'paragraph':
        return [...splitSentences(whole)];
    }
  };
}

/** The range without white space at its ends. */
function trim(text: string, { start, end }: Range): Range {
  let first = start;
  let last = end;
  while (first < last && isBlank(text.charCodeAt(first))) first += 1;
  while (last > first && isBlank(text.charCodeAt(last - 1))) last -= 1;
  return { start: first, end: last };
}

function isBlank(code: number): boolean {
  return code === 0x20 || (code >= 0x09 && code <= 0x0d) || (code > 0x7f && String.fromCharCode(code).trim() === '');
}

/** Joins neighbours until they are worth a cut. */
function* coarse(ranges: Iterable<Range>): Generator<Range> {
  let open: Range | null = null;
  for (const range of ranges) {
    const joined: Range = { start: open?.start ?? range.start, end: range.end };
    open = joined.end - joined.start < FINEST_CUT ? joined : null;
    if (open === null) yield joined;
  }
  if (open !== null) yield open;
}

function* linesOf(text: string, { start, end }: Range): Generator<Range> {
  for (let position = start; position < end; ) {
    const feed = text.indexOf('\n', position);
    const stop = feed < 0 || feed > end ? end : feed;
    yield { start: position, end: stop };
    position = stop + 1;
  }
}

function* itemsOf(text: string, range: Range): Generator<Range> {
  let start = range.start;
  for (const line of linesOf(text, range)) {
    if (line.start > start && ITEM.test(text.slice(line.start, Math.min(line.end, line.start + 20)))) {
      yield { start, end: line.start };
      start = line.start;
    }
  }
  yield { start, end: range.end };
}

function* sentencesOf(text: string, range: Range, segmenter: Intl.Segmenter): Generator<Range> {
  for (let start = range.start; start < range.end; ) {
    const end = windowEnd(text, start, range.end);
    const starts = [...segmenter.segment(text.slice(start, end))].map((segment) => start + segment.index);
    // The last sentence may go on behind the window: it begins the next one.
    const next = end < range.end && starts.length > 1 ? (starts.pop() ?? end) : end;
    for (const [position, sentence] of starts.entries()) yield { start: sentence, end: starts[position + 1] ?? next };
    start = next;
  }
}

function windowEnd(text: string, start: number, limit: number): number {
  const end = start + SEGMENTED_AT_ONCE;
  if (end >= limit) return limit;
  return cutBefore(text, { start, end }, start + SEGMENTED_AT_ONCE / 2);
}

/** Cuts near the middle, between words if there are any. */
function halves(text: string, { start, end }: Range): readonly Range[] {
  if (end - start < 2) return [{ start, end }];
  const middle = start + Math.ceil((end - start) / 2);
  const cut = cutBefore(text, { start, end: middle }, start + Math.ceil((end - start) / 8));
  if (cut <= start || cut >= end) return [{ start, end }];
  return [
    { start, end: cut },
    { start: cut, end },
  ];
}

/** The last place in (earliest, end] that has a blank before it; else `end` or the place next to it that splits no character. */
function cutBefore(text: string, { start, end }: Range, earliest: number): number {
  for (let position = end; position > earliest; position -= 1) {
    if (isBlank(text.charCodeAt(position - 1))) return position;
  }
  let cut = end;
  while (cut > start + 1 && end - cut < 64 && splitsCharacter(text, cut)) cut -= 1;
  if (splitsCharacter(text, cut)) cut = end;
  if (!isLowSurrogate(text, cut)) return cut;
  return cut > start + 1 ? cut - 1 : cut + 1;
}

function splitsCharacter(text: string, position: number): boolean {
  if (isLowSurrogate(text, position)) return true;
  return JOINED.test(text.slice(position, position + 2)) || text.charCodeAt(position - 1) === 0x200d;
}

function isLowSurrogate(text: string, position: number): boolean {
  const code = text.charCodeAt(position);
  return code >= 0xdc00 && code <= 0xdfff;
}

/** Rows that are cut off from their table's header name it. */
function withHeader(text: string, table: Range, rows: readonly Unit[]): readonly Unit[] {
  const [header] = linesOf(text, table);
  const tableHeader =
    header === undefined ? '' : cellsOf(text.slice(header.start, Math.min(header.end, header.start + 200)));
  if (tableHeader === '') return rows;
  return rows.map((row) => (row.start === table.start ? row : { ...row, tableHeader }));
}

function cellsOf(row: string): string {
  return row
    .replace(/\p{Surrogate}/gu, '')
    .split('|')
    .map((cell) => cell.trim())
    .filter((cell) => cell !== '')
    .join(' | ');
}
