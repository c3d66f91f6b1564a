/** A piece of text as it stands on a page: in points, `x` along the reading direction, `y` (of the baseline) downward. */
export interface Placed {
  readonly text: string;
  readonly x0: number;
  readonly x1: number;
  readonly y: number;
  readonly size: number;
  /** The name that the file gives the font; null when several fonts are mixed. */
  readonly font: string | null;
}

/** What pdf.js tells of a run of text: `transform` places it in the user space of the page. */
export interface TextItem {
  readonly str: string;
  readonly transform: readonly number[];
  readonly width: number;
  readonly height: number;
  readonly fontName: string;
}

interface Fragment extends Placed {
  /** White space stands before it in the content. */
  readonly spaced: boolean;
}

export interface PageSpace {
  /** The visible part of user space: left, bottom, right, top. */
  readonly view: readonly number[];
  /** Fonts that write from top to bottom. */
  readonly verticalFonts: ReadonlySet<string>;
}

/** Text wider apart than this, in font sizes, may stand in different cells or columns. */
const CELL_GAP = 0.9;
const WORD_GAP = 0.18;
/** Chinese and Japanese glyphs often leave more room than this between them without a word ending there. */
const CJK_WORD_GAP = 0.6;
/** Baselines closer than this share of the font size are of one row: superscripts, mixed sizes. */
const ROW_SHARE = 0.4;
const NOTE_SHARE = 0.5;
const MOST_SLANT = 0.09;
const CJK = /[\u3040-\u30FF\u3400-\u9FFF\uF900-\uFAFF\uFF00-\uFFEF]/;
const RIGHT_TO_LEFT = /[\u0590-\u08FF\uFB1D-\uFDFF\uFE70-\uFEFC]/g;
/** Presentation forms (ligatures, positional Arabic) and radicals stand for ordinary letters; other compatibility forms mean something. */
const PRESENTATION_FORM = /[\uFB00-\uFDFF\uFE70-\uFEFC\u2E80-\u2FD5]/g;
/** Bullets of the Symbol and Wingdings fonts. */
const SYMBOL_BULLET = /[\uF0B7\uF0A7\uF0A8\uF076\uF0D8\uF0FC\uF06C\uF06E]/g;
const PRIVATE_USE = /\p{Private_Use}/gu;
/** A single glyph without a meaning in Unicode, standing alone, is nearly always a bullet. */
const LONE_GLYPH = /^[\p{Private_Use}\p{Cc}\u00AD]$/u;

/**
 * The text of a page in layers of one direction each, the one with most text first; text at a slant is last. What lies
 * outside the page is left out: no reader sees it. Each layer is a list of rows' pieces: runs of text without a wide gap.
 */
export function layersOf(items: readonly TextItem[], space: PageSpace): readonly (readonly Placed[])[] {
  const layers = new Map<number, Fragment[]>();
  let spaced = false;
  for (const item of items) {
    if (item.str.trim() === '') {
      spaced ||= item.str !== '';
      continue;
    }
    const direction = directionOf(item, space);
    if (direction !== null && isVisible(item, space.view)) {
      const layer = layers.get(direction.layer) ?? [];
      layers.set(direction.layer, layer);
      layer.push(...place(item, { ...direction, spaced }));
    }
    spaced = /\s$/.test(item.str);
  }
  return [...layers.entries()]
    .sort(([one, first], [other, second]) => rank(one, first) - rank(other, second))
    .map(([, fragments]) => clusterRows(fragments).flatMap(joinFragments));
}

/** Groups what stands on one baseline, from top to bottom; each row from left to right. */
export function clusterRows<T extends Placed>(pieces: readonly T[]): readonly (readonly T[])[] {
  const rows: { y: number; size: number; longest: number; members: T[] }[] = [];
  for (const piece of [...pieces].sort((one, other) => one.y - other.y)) {
    const row = rows.at(-1);
    if (row !== undefined && Math.abs(piece.y - row.y) <= rowReach(piece.size, row.size)) {
      row.members.push(piece);
      if (piece.text.length > row.longest)
        Object.assign(row, { y: piece.y, size: piece.size, longest: piece.text.length });
    } else {
      rows.push({ y: piece.y, size: piece.size, longest: piece.text.length, members: [piece] });
    }
  }
  return rows.map(({ members }) => members.sort((one, other) => one.x0 - other.x0));
}

/** How far apart baselines of one row may be: notes are raised further; a large initial must not draw the next lines in. */
function rowReach(one: number, other: number): number {
  const [small, large] = [Math.min(one, other), Math.max(one, other)];
  const isNote = small < large * 0.85 && small > large * 0.45;
  return isNote ? large * NOTE_SHARE : Math.min(large, small * 1.5) * ROW_SHARE;
}

/** Whether two texts that follow each other are written without a space between them. */
export function isCjkBorder(before: string, after: string): boolean {
  return CJK.test(before.slice(-1)) && CJK.test(after.slice(0, 1));
}

interface Direction {
  /** 0 to 3: quarter turns; 4: at a slant. */
  readonly layer: number;
  readonly angle: number;
  readonly length: number;
  readonly size: number;
}

function directionOf(item: TextItem, { verticalFonts }: PageSpace): Direction | null {
  const [a = 0, b = 0, c = 0, d = 0] = item.transform;
  if (!item.transform.every(Number.isFinite) || !Number.isFinite(item.width + item.height)) return null;
  const vertical = verticalFonts.has(item.fontName);
  const angle = Math.atan2(b, a) - (vertical ? Math.PI / 2 : 0);
  const size = Math.hypot(c, d) || item.height;
  if (size <= 0) return null;
  const quarter = Math.round(angle / (Math.PI / 2));
  const slanted = Math.abs(angle - quarter * (Math.PI / 2)) > MOST_SLANT;
  return {
    layer: slanted ? 4 : (quarter + 4) % 4,
    angle: slanted ? angle : quarter * (Math.PI / 2),
    length: vertical ? item.height : item.width,
    size,
  };
}

function isVisible({ transform, width, height }: TextItem, view: readonly number[]): boolean {
  const [a = 0, b = 0, , , x = 0, y = 0] = transform;
  const [left = 0, bottom = 0, right = 0, top = 0] = view;
  const length = Math.hypot(a, b) || 1;
  const endX = x + (a / length) * width;
  const endY = y + (b / length) * width;
  if (right <= left || top <= bottom) return true;
  return (
    Math.max(x, endX) >= left - 1 &&
    Math.min(x, endX) <= right + 1 &&
    Math.max(y, endY) + height >= bottom - 1 &&
    Math.min(y, endY) <= top + 1
  );
}

/** Runs of blanks in a text of fixed width are cell borders too. */
function place(item: TextItem, direction: Direction & { readonly spaced: boolean }): readonly Fragment[] {
  const [, , , , e = 0, f = 0] = item.transform;
  const { angle, length, size } = direction;
  const x = e * Math.cos(angle) + f * Math.sin(angle);
  const y = e * Math.sin(angle) - f * Math.cos(angle);
  const fragments: Fragment[] = [];
  for (const match of item.str.matchAll(/\S+(?:\s{1,2}\S+)*/g)) {
    const text = readable(match[0]);
    if (text === '') continue;
    fragments.push({
      text,
      x0: x + (length * match.index) / item.str.length,
      x1: x + (length * (match.index + match[0].length)) / item.str.length,
      y,
      size,
      font: item.fontName,
      spaced: match.index > 0 || direction.spaced,
    });
  }
  return fragments;
}

function readable(text: string): string {
  if (LONE_GLYPH.test(text)) return '•';
  return text
    .replace(PRESENTATION_FORM, (form) => form.normalize('NFKC'))
    .replace(SYMBOL_BULLET, '•')
    .replace(PRIVATE_USE, '')
    .replace(/\s+/g, ' ')
    .trim();
}

/** Slanted text (a watermark) comes last whatever its length. */
function rank(layer: number, fragments: readonly Fragment[]): number {
  return layer === 4 ? 1 : -fragments.reduce((sum, { text }) => sum + text.length, 0);
}

function joinFragments(row: readonly Fragment[]): readonly Placed[] {
  const segments: Fragment[] = [];
  const leftward = isRightToLeft(row.map(({ text }) => text).join(''));
  for (const fragment of row) {
    const last = segments.at(-1);
    if (last === undefined) {
      segments.push(fragment);
      continue;
    }
    const gap = (fragment.x0 - last.x1) / Math.max(last.size, fragment.size);
    if (gap > CELL_GAP) segments.push(fragment);
    else if (!isOverprint(last, fragment)) {
      const joined = leftward ? joinTexts(fragment, last, gap) : joinTexts(last, fragment, gap);
      segments[segments.length - 1] = { ...joinPlaces(last, fragment), ...joined };
    }
  }
  return segments;
}

/** Bold is sometimes made by printing a text twice, a little aside. */
function isOverprint(one: Placed, other: Placed): boolean {
  return one.text.endsWith(other.text) && Math.abs(one.x1 - other.x1) < 0.2 * one.size && other.x0 < one.x1;
}

/** In the order in which they are read; `gap` in font sizes. */
function joinTexts(before: Fragment, after: Fragment, gap: number): Pick<Fragment, 'text' | 'spaced'> {
  const wordGap = isCjkBorder(before.text, after.text) ? CJK_WORD_GAP : WORD_GAP;
  const space = gap > wordGap || (after.spaced && gap > -WORD_GAP) ? ' ' : '';
  return { text: before.text + space + after.text, spaced: before.spaced };
}

function joinPlaces(left: Fragment, right: Fragment): Omit<Placed, 'text'> {
  const { y, size } = right.text.length > left.text.length ? right : left;
  const font = left.font === right.font ? left.font : null;
  return { x0: left.x0, x1: Math.max(left.x1, right.x1), y, size, font };
}

/** Whether most letters of a text are written from right to left. */
export function isRightToLeft(text: string): boolean {
  const leftward = text.match(RIGHT_TO_LEFT)?.length ?? 0;
  return leftward > 0 && leftward * 2 > (text.match(/\p{L}/gu)?.length ?? 0);
}
