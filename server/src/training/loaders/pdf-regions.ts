import { clusterRows, type Placed } from './pdf-fragments.ts';

/** A part of a page whose rows are read from top to bottom. */
export interface Region {
  readonly segments: readonly Placed[];
  /** The margins between which its lines are set. */
  readonly left: number;
  readonly right: number;
}

/** Lines that a column must have on each side of its gutter. */
const LEAST_LINES = 4;
/** Lines of prose fill their column; cells of a table do not. */
const LEAST_FILL = 0.5;
/** A line of prose may fall into pieces when it is stretched to the margin, but leaves little white. */
const JUSTIFIED_FILL = 0.85;
const PROSE_SHARE = 0.5;
/** Columns of short lines are known by their baselines, if there are so many. */
const SURE_LINES = 8;
const UNALIGNED_SHARE = 0.7;
/** No page has more; each is compared with each. */
const MOST_LINES = 2_000;
const WHOLE_SHARE = 0.7;
/** Bullets and numbers stand apart from the line that they begin. */
const LONGEST_MARKER = 3;
/** Rows of a table often stand further apart than lines of prose, in font sizes. */
const WIDE_PITCH = 1.9;
const LEAST_CHARACTERS = 18;
const DEEPEST = 4;

/**
 * Cuts a page into regions in reading order: where columns of prose stand beside each other, one after the other; what
 * spans them stays in its place between. Tables and forms stay whole: their text does not fill its columns.
 */
export function regionsOf(segments: readonly Placed[], depth = 0): readonly Region[] {
  if (segments.length === 0) return [];
  const margins = marginsOf(segments);
  const gutter = depth < DEEPEST && segments.length >= 2 * LEAST_LINES ? findGutter(segments) : null;
  if (gutter === null) return [{ segments, ...margins }];
  const regions: Region[] = [];
  let spanning: Placed[] = [];
  for (const band of bandsOf(segments, gutter)) {
    if (!areColumns(band, gutter)) {
      spanning.push(...band);
      continue;
    }
    if (spanning.length > 0) regions.push({ segments: spanning, ...margins });
    spanning = [];
    const sides = [band.filter(({ x0 }) => x0 < gutter), band.filter(({ x0 }) => x0 >= gutter)];
    for (const side of sides) regions.push(...regionsOf(side, depth + 1));
  }
  if (spanning.length > 0) regions.push({ segments: spanning, ...margins });
  return regions;
}

function marginsOf(segments: readonly Placed[]): { readonly left: number; readonly right: number } {
  let left = Number.POSITIVE_INFINITY;
  let right = Number.NEGATIVE_INFINITY;
  for (const { x0, x1 } of segments) {
    left = Math.min(left, x0);
    right = Math.max(right, x1);
  }
  return { left, right };
}

/** The x of the white strip with most prose on both of its sides. */
function findGutter(segments: readonly Placed[]): number | null {
  let best: { x: number; lines: number } | null = null;
  for (const x of candidates(segments)) {
    const lines = bandsOf(segments, x)
      .filter((band) => areColumns(band, x))
      .reduce((sum, band) => sum + band.length, 0);
    if (lines > (best?.lines ?? 0)) best = { x, lines };
  }
  return best?.x ?? null;
}

/** Middles of the strips that few segments cross, within the inner part of the page. */
function candidates(segments: readonly Placed[]): readonly number[] {
  const left = inner(segments.map(({ x0 }) => x0)).least;
  const right = inner(segments.map(({ x1 }) => x1)).most;
  const bins = 240;
  const width = (right - left) / bins;
  if (!(width > 0)) return [];
  const cover = new Uint32Array(bins + 1);
  for (const { x0, x1 } of segments) {
    const end = Math.min(bins, Math.ceil((x1 - left) / width));
    for (let bin = Math.max(0, Math.floor((x0 - left) / width)); bin < end; bin += 1)
      cover[bin] = (cover[bin] ?? 0) + 1;
  }
  const few = Math.max(...cover) * 0.3;
  const found: number[] = [];
  let start = -1;
  for (let bin = Math.floor(bins * 0.12); bin <= bins * 0.88; bin += 1) {
    const empty = (cover[bin] ?? 0) <= few;
    if (empty && start < 0) start = bin;
    if (start >= 0 && (!empty || bin + 1 > bins * 0.88)) {
      found.push(left + emptiest(cover, start, bin) * width);
      start = -1;
    }
  }
  return found;
}

/** The ends of the values without the outermost hundredth: one stray piece of text must not make the page wide. */
function inner(values: number[]): { readonly least: number; readonly most: number } {
  values.sort((one, other) => one - other);
  const spare = Math.floor(values.length / 100);
  return { least: values[spare] ?? 0, most: values[values.length - 1 - spare] ?? 0 };
}

/** The middle of the longest stretch of least cover. */
function emptiest(cover: Uint32Array, from: number, to: number): number {
  const least = Math.min(...cover.subarray(from, to));
  let best = { start: from, length: 0 };
  let start = -1;
  for (let bin = from; bin <= to; bin += 1) {
    const free = bin < to && cover[bin] === least;
    if (free && start < 0) start = bin;
    if (!free && start >= 0) {
      if (bin - start > best.length) best = { start, length: bin - start };
      start = -1;
    }
  }
  return best.start + best.length / 2;
}

/** Cuts at the segments that cross `x`: each of their rows is a band of its own. */
function bandsOf(segments: readonly Placed[], x: number): readonly (readonly Placed[])[] {
  const bands: Placed[][] = [];
  let wasCrossed = true;
  for (const row of clusterRows(segments)) {
    const crossed = row.some(({ x0, x1 }) => x0 < x && x1 > x);
    const band = bands.at(-1);
    if (band === undefined || crossed !== wasCrossed) bands.push([...row]);
    else band.push(...row);
    wasCrossed = crossed;
  }
  return bands;
}

function areColumns(band: readonly Placed[], x: number): boolean {
  const sides = [band.filter(({ x1 }) => x1 <= x), band.filter(({ x0 }) => x0 >= x)];
  if (
    sides.some((side) => side.length < LEAST_LINES) ||
    (sides[0]?.length ?? 0) + (sides[1]?.length ?? 0) < band.length
  ) {
    return false;
  }
  const [left = [], right = []] = sides.map(baselinesOf);
  if (isUnaligned(left, right)) return sides.every(isText);
  return sides.every(isProse) && !isTextTable(left, right, band[0]?.size ?? 0);
}

function baselinesOf(side: readonly Placed[]): readonly number[] {
  return clusterRows(side).map((row) => row[0]?.y ?? 0);
}

/** Rows of tables and forms stand at one height on both sides, those of columns only by chance. */
function isUnaligned(left: readonly number[], right: readonly number[]): boolean {
  if (Math.min(left.length, right.length) < SURE_LINES || left.length + right.length > MOST_LINES) return false;
  const pitch = Math.min(medianGap(left), medianGap(right));
  const share = (one: readonly number[], other: readonly number[]): number => alignedOf(one, other, pitch) / one.length;
  return Math.max(share(left, right), share(right, left)) < UNALIGNED_SHARE;
}

function alignedOf(one: readonly number[], other: readonly number[], pitch: number): number {
  return one.filter((y) => other.some((otherY) => Math.abs(otherY - y) < 0.2 * pitch)).length;
}

/** Lines that are mostly in one piece, and not too short on the whole: no labels with values, no cells. */
function isText(side: readonly Placed[]): boolean {
  const rows = clusterRows(side);
  const characters = side.reduce((sum, { text }) => sum + text.length, 0);
  const whole = rows.filter((row) => piecesOf(row) <= 1).length;
  return characters >= LEAST_CHARACTERS * rows.length && whole >= WHOLE_SHARE * rows.length;
}

/** How many pieces a row has, besides its bullet or number. */
function piecesOf(row: readonly Placed[]): number {
  return (row[0]?.text.length ?? 0) > LONGEST_MARKER ? row.length : row.length - 1;
}

function isProse(side: readonly Placed[]): boolean {
  const rows = clusterRows(side);
  if (rows.length < LEAST_LINES) return false;
  const width = inner(side.map(({ x1 }) => x1)).most - inner(side.map(({ x0 }) => x0)).least;
  const prose = rows.filter((row) => {
    const filled = row.reduce((sum, { x0, x1 }) => sum + x1 - x0, 0) / width;
    const characters = row.reduce((sum, { text }) => sum + text.length, 0);
    return characters >= LEAST_CHARACTERS && filled >= (piecesOf(row) === 1 ? LEAST_FILL : JUSTIFIED_FILL);
  });
  return prose.length >= PROSE_SHARE * rows.length;
}

/** A table with two columns of long text: its rows leave white at the same heights on both sides, again and again. */
function isTextTable(left: readonly number[], right: readonly number[], size: number): boolean {
  const pitch = Math.min(medianGap(left), medianGap(right));
  const starts = (side: readonly number[]): readonly number[] =>
    side.filter((y, index) => index > 0 && y - (side[index - 1] ?? y) > 1.4 * pitch);
  const [one, other] = [starts(left), starts(right)];
  if (pitch > WIDE_PITCH * size && alignedOf(left, right, pitch) >= 0.9 * left.length) return true;
  const common = one.filter((y) => other.some((otherY) => Math.abs(otherY - y) < 0.2 * pitch)).length;
  return common >= 2 && common >= 0.6 * Math.max(one.length, other.length);
}

function medianGap(ys: readonly number[]): number {
  const gaps = ys.slice(1).map((y, index) => y - (ys[index] ?? y));
  return gaps.sort((one, other) => one - other)[Math.floor(gaps.length / 2)] ?? 0;
}
