import { isCjkBorder, isRightToLeft, type Placed } from './pdf-fragments.ts';
import type { Row } from './pdf-tables.ts';

/** What a document's text mostly looks like, and its words: what the parts of a page are judged by. */
export interface DocumentStyle {
  readonly bodySize: number;
  readonly bodyFont: string | null;
  /** Whether the document writes this word (in lower case) somewhere. */
  hasWord(word: string): boolean;
}

export interface TextBlock {
  readonly kind: 'heading' | 'paragraph' | 'item';
  /** Markdown, with line feeds where the lines of the page are meant to end. */
  readonly text: string;
  /** Ends with a line that goes on to the margin: it may go on in the next column or on the next page. */
  readonly open: boolean;
}

/** Where the rows stand. */
export interface Setting {
  readonly left: number;
  readonly right: number;
  readonly style: DocumentStyle;
  /** Whether a table comes next. */
  readonly beforeTable: boolean;
}

interface Line extends Placed {
  readonly marker: string | null;
  /** Ends where it ends for a reason of its own, though it reaches the margin: an entry of a table of contents. */
  readonly final: boolean;
}

/** A run of lines that belong together. */
interface Group {
  readonly lines: Line[];
}

const BULLET = /^[•▪◦●○■□‣⁃∙·➢➤►✓✔–—-]\s+(?=\S)/;
const LONE_BULLET = /^[•▪◦●○■□‣⁃∙·➢➤►✓✔]$/;
const NUMBER = /^(?:\d{1,3}[.)]|\(?(?:\d{1,2}|[a-z]|[ivx]{1,5})\)|\.\d{1,3})\s+(?=\S)/;
/** Lines that only draw: rules of equal signs, dots and the like. */
const RULE = /^[\s=_*.·–—~#+|-]{4,}$/;
const LEADER = /\s*(?:[.·_…]\s?){4,}\s*/g;
const CONTENTS_ENTRY = /(?:[.·_…]\s?){4,}\s*[\dA-Z]*-?(?:\d+|[ivxl]+)$/;
/** Enough of a line to see its leader and page; a bound for the pattern above. */
const LONGEST_ENTRY_END = 60;
const SENTENCE_END = /[.!?:;。！？][)\]"'”’»]*$/;
/** Korean is written with spaces, but lines may end within words. */
const HANGUL = /[\uAC00-\uD7AF]/;
const LONGEST_HEADING = 200;
/** Words that are hardly ever the beginning of a longer one, and words that are written behind a hyphen more often than they end a word. */
const COMPOUND_START = /^(?:self|well|cross|half|quasi|twenty|thirty|forty|fifty)$/;
const COMPOUND_END =
  /^(?:based|centric|driven|oriented|specific|aware|related|free|friendly|level|scale|time|term|wide)$/;
/** In font sizes. */
const FAR = 4;
const LEVELS = [
  { ratio: 1.7, mark: '#' },
  { ratio: 1.35, mark: '##' },
  { ratio: 1.12, mark: '###' },
] as const;
/** A line of its own in another font than the text, most often bold. */
const FONT_HEADING = '####';

/** Makes headings, paragraphs and list items of rows that are no table. */
export function textBlocks(rows: readonly Row[], setting: Setting): readonly TextBlock[] {
  const lines = withMarkers(rows).flatMap(apart).map(lineOf);
  const page = { ...setting, pitch: usualPitch(lines, setting.right) };
  const groups: Group[] = [];
  let previous: Line | null = null;
  for (const line of lines) {
    if (RULE.test(line.text)) {
      previous = null;
      continue;
    }
    const group = groups.at(-1);
    if (group === undefined || previous === null || isBreak(previous, line, { ...page, group }))
      groups.push({ lines: [line] });
    else group.lines.push(line);
    previous = line;
  }
  return groups
    .map((group, index) => blockOf(group, { ...page, next: groups[index + 1] ?? null }))
    .filter(({ text }) => text !== '');
}

/** Joins two pieces of running text, taking a word apart at the line's end together again. */
export function joinText(before: string, after: string, style: DocumentStyle): string {
  if (isCjkBorder(before, after)) return before + after;
  if (HANGUL.test(before.slice(-1)) && HANGUL.test(after.slice(0, 1))) {
    const [last = '', next = ''] = [/\S+$/.exec(before.slice(-40))?.[0], /^\S+/.exec(after.slice(0, 40))?.[0]];
    return style.hasWord(last + next) ? before + after : `${before} ${after}`;
  }
  const head = /([\p{L}\p{N}]+(?:-[\p{L}\p{N}]+)*)[-\u00AD\u2010]$/u.exec(before.slice(-80))?.[1];
  const tail = /^\p{Ll}[\p{L}\p{M}]*/u.exec(after.slice(0, 80))?.[0];
  if (head === undefined || !/\p{L}$/u.test(head)) return `${before} ${after}`;
  if (tail === undefined) return before.endsWith('\u00AD') ? before.slice(0, -1) + after : before + after;
  return (keepsHyphen(head.toLowerCase(), tail.toLowerCase(), style) ? before : before.slice(0, -1)) + after;
}

/** A compound keeps its hyphen; a word that was only cut does not. The document's other words tell which it is. */
function keepsHyphen(head: string, tail: string, { hasWord }: DocumentStyle): boolean {
  const last = head.split('-').at(-1) ?? head;
  if (COMPOUND_START.test(last) || hasWord(`${head}-${tail}`)) return true;
  if (hasWord(last + tail)) return false;
  return last.length > 2 && hasWord(last) && (COMPOUND_END.test(tail) || (tail.length > 2 && hasWord(tail)));
}

/** Puts bullets whose glyphs hang too low or too high to the line that they begin. */
function withMarkers(rows: readonly Row[]): readonly Row[] {
  const joined: Row[] = [];
  for (const row of rows) {
    const last = joined.at(-1);
    const [marker, ...rest] = last ?? [];
    const begins =
      marker !== undefined &&
      rest.length === 0 &&
      LONE_BULLET.test(marker.text) &&
      row.every(({ x0, y }) => x0 > marker.x1 && y - marker.y < 0.8 * marker.size);
    if (begins) joined[joined.length - 1] = [marker, ...row];
    else joined.push(row);
  }
  return joined;
}

/** Takes a row apart where texts of different sizes stand far from each other: a title and the date beside it. */
function apart(row: Row): readonly Row[] {
  const rows: Placed[][] = [];
  for (const piece of row) {
    const last = rows.at(-1)?.at(-1);
    const ratio = last === undefined ? 1 : Math.max(last.size, piece.size) / Math.min(last.size, piece.size);
    if (last === undefined || (ratio > 1.25 && piece.x0 - last.x1 > FAR * Math.min(last.size, piece.size)))
      rows.push([piece]);
    else rows.at(-1)?.push(piece);
  }
  return rows;
}

function lineOf(row: Row): Line {
  const texts = row.map((segment) => segment.text);
  const written = (isRightToLeft(texts.join('')) ? texts.reverse() : texts).join(' ');
  const shown = RULE.test(written) ? written : written.replace(LEADER, ' ').trim();
  const longest = row.reduce<Placed | null>(
    (best, segment) => (best === null || segment.text.length > best.text.length ? segment : best),
    null,
  );
  const font = row[0]?.font ?? null;
  return {
    text: shown,
    x0: row[0]?.x0 ?? 0,
    x1: row.reduce((most, { x1 }) => Math.max(most, x1), 0),
    y: longest?.y ?? 0,
    size: longest?.size ?? 0,
    font: row.every((segment) => segment.font === font) ? font : null,
    final: CONTENTS_ENTRY.test(written.slice(-LONGEST_ENTRY_END)),
    marker: (BULLET.exec(shown) ?? NUMBER.exec(shown))?.[0]?.trim() ?? null,
  };
}

interface Around extends Setting {
  /** The usual distance of baselines, in points; 0 when there is none. */
  readonly pitch: number;
}

function isBreak(previous: Line, line: Line, around: Around & { readonly group: Group }): boolean {
  const size = Math.max(previous.size, line.size);
  const pitch = Math.min(Math.max(around.pitch, size), size * 2.2);
  const gap = line.y - previous.y;
  if (gap > 1.3 * pitch || gap < -size || line.x0 > previous.x1 || line.x1 < previous.x0) return true;
  if (Math.abs(line.size - previous.size) > 0.12 * size) return true;
  const full = isFull(previous, line, around.right);
  if (!full && stands(line, around.style) !== stands(previous, around.style)) return true;
  if (line.marker !== null && (!full || /\D/.test(line.marker[0] ?? '') || follows(line.marker, around.group)))
    return true;
  const [first] = around.group.lines;
  if (first?.marker != null) return !full && line.x0 < first.x0 + 0.5 * size;
  const indented = line.x0 - previous.x0 > 0.8 * size && previous.x0 - around.left < 0.5 * size;
  return indented && SENTENCE_END.test(previous.text);
}

/** All in one font that is not the body's. */
function stands({ font }: Line, { bodyFont }: DocumentStyle): boolean {
  return font !== null && bodyFont !== null && font !== bodyFont;
}

function follows(marker: string, { lines }: Group): boolean {
  const number = Number.parseInt(marker.replace(/\D/g, ''), 10);
  const before = Number.parseInt((lines[0]?.marker ?? '').replace(/\D/g, ''), 10);
  return number === 1 || number === before + 1;
}

/** Whether the next line's first word would not have fitted on this line: the line was broken for want of room. */
function isFull(line: Line, next: Line, right: number): boolean {
  if (line.final) return false;
  if (/\p{L}[-\u00AD]$/u.test(line.text) && /^\p{Ll}/u.test(next.text)) return true;
  const word = /^\S+/.exec(next.text)?.[0].length ?? 0;
  const width = (next.x1 - next.x0) / Math.max(1, next.text.length);
  return line.x1 + (word + 1) * width > right - 0.5 * line.size;
}

function blockOf({ lines }: Group, around: Around & { readonly next: Group | null }): TextBlock {
  const [first] = lines;
  const last = lines.at(-1);
  if (first === undefined || last === undefined) return { kind: 'paragraph', text: '', open: false };
  let text = '';
  let breaks = 0;
  lines.forEach((line, index) => {
    const previous = lines[index - 1];
    if (previous === undefined) text = line.text;
    else if (isFull(previous, line, around.right)) text = joinText(text, line.text, around.style);
    else {
      breaks += 1;
      text += `\n${line.text}`;
    }
  });
  const mark = headingMark(lines, { ...around, breaks });
  if (mark !== null) return { kind: 'heading', text: `${mark} ${text.replaceAll('\n', ' ')}`, open: false };
  const open = last.x1 > around.right - 3 * last.size && !SENTENCE_END.test(last.text);
  if (first.marker === null) return { kind: 'paragraph', text: escapeLines(text), open };
  const content = BULLET.test(text) ? text.replace(BULLET, '') : text;
  const item = /^\d{1,3}[.)]\s/.test(content) && content === text ? text : `- ${content}`;
  return { kind: 'item', text: item.replaceAll('\n', '\n  '), open };
}

function headingMark(
  lines: readonly Line[],
  { style, breaks, next, pitch, right, beforeTable }: Around & { readonly next: Group | null; readonly breaks: number },
): string | null {
  const [first] = lines;
  const length = lines.reduce((sum, { text }) => sum + text.length, 0);
  const text = first?.text ?? '';
  if (first === undefined || length > LONGEST_HEADING || lines.length > 3 || !/\p{L}{2}/u.test(text)) return null;
  const ratio = first.size / style.bodySize;
  const level = LEVELS.find((one) => ratio >= one.ratio);
  if (level !== undefined && (breaks === 0 || (ratio >= 1.6 && lines.length === 2))) return level.mark;
  if (lines.length > 1 || ratio < 0.95 || !stands(first, style) || length > 90) return null;
  // Emphasis in running text goes on to the margin.
  if (next !== null && first.x1 > right - 2 * first.size) return null;
  if (!/^[\p{Lu}\p{Lo}\p{N}]/u.test(text) || /[.,;!?]$/.test(text)) return null;
  const below = next?.lines[0];
  if (below === undefined) return beforeTable ? FONT_HEADING : null;
  return below.y - first.y <= 4 * Math.max(pitch, first.size) ? FONT_HEADING : null;
}

/** What would be read as a heading or a fence is text here. */
function escapeLines(text: string): string {
  return text.replace(/^(?=#{1,6}(?:\s|$)|`{3}|~{3})/gm, '\\');
}

/** The distance of baselines within paragraphs: of lines that were broken for want of room, if there are any. */
function usualPitch(lines: readonly Line[], right: number): number {
  const pairs = lines.slice(1).flatMap((line, index) => {
    const previous = lines[index] ?? line;
    const gap = line.y - previous.y;
    return gap > 0 && gap < 3 * line.size ? [{ gap, full: isFull(previous, line, right) }] : [];
  });
  const full = pairs.filter((pair) => pair.full);
  const gaps = (full.length > 0 ? full : pairs).map(({ gap }) => gap);
  return gaps.sort((one, other) => one - other)[Math.floor(gaps.length * 0.35)] ?? 0;
}
