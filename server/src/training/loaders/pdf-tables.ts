import { clusterRows, type Placed } from './pdf-fragments.ts';

/** What stands on one baseline, in its cells or pieces from left to right. */
export type Row = readonly Placed[];

/** A table of the page; its cells are plain text, empty where the row has nothing in the column. */
export interface Table {
  readonly kind: 'table';
  readonly rows: readonly (readonly string[])[];
  /** Left and right end of each column. */
  readonly columns: readonly Column[];
}

/** Rows that are no table. */
export interface RowRun {
  readonly kind: 'rows';
  readonly rows: readonly Row[];
}

export interface Column {
  readonly x0: number;
  readonly x1: number;
}

interface MutableColumn {
  x0: number;
  x1: number;
}

/** Rows further apart than this, in font sizes, are of different tables unless the table is that wide all over. */
const WIDEST_PITCH = 3.2;
/** Columns of a table of two rows must be this far apart, in font sizes: two lines of spaced-out prose look alike. */
const SURE_GAP = 1.5;
const LIST_MARKER = /^(?:[•▪◦●○■□‣⁃∙·–*-]|\(?(?:\d{1,3}|[a-z]|[ivx]{1,5})[.)]|\.\d{1,3})$/;
/** Rows that are looked at when columns are drawn anew; keeps long tables linear. */
const DRAWING_WINDOW = 60;

/** Cuts the rows of a region into tables (rows whose pieces share columns) and what is left between them. */
export function findTables(segments: readonly Placed[]): readonly (Table | RowRun)[] {
  const rows = clusterRows(segments);
  const parts: (Table | { kind: 'rows'; rows: Row[] })[] = [];
  for (let index = 0; index < rows.length; ) {
    const found = growTable(rows, index);
    if (found !== null) {
      parts.push(found.table);
      index = found.end;
      continue;
    }
    const last = parts.at(-1);
    const row = rows[index];
    if (row !== undefined && last?.kind === 'rows') last.rows.push(row);
    else if (row !== undefined) parts.push({ kind: 'rows', rows: [row] });
    index += 1;
  }
  return parts;
}

interface Growth {
  readonly rows: Row[];
  columns: readonly Column[];
}

function growTable(rows: readonly Row[], start: number): { readonly table: Table; readonly end: number } | null {
  const first = rows[start];
  if (first === undefined || first.length < 2 || isListItem(first)) return null;
  const growth: Growth = { rows: [first], columns: columnsOf([first]) };
  let end = start + 1;
  for (let index = start + 1; index < rows.length; index += 1) {
    const row = rows[index];
    if (row === undefined || !isNear(growth.rows, row) || isListItem(row)) break;
    const single = row.length === 1;
    if (single && startsSomethingElse(growth, row, rows[index + 1])) break;
    const columns = single ? growth.columns : fit(growth, row);
    if (columns === null) break;
    growth.rows.push(row);
    growth.columns = columns;
    if (!single || isWithinOneColumn(row, columns)) end = index + 1;
  }
  const kept = growth.rows.slice(0, end - start);
  return isTable(kept) ? { table: tableOf(kept), end } : null;
}

function isListItem(row: Row): boolean {
  return row.length === 2 && LIST_MARKER.test(row[0]?.text ?? '');
}

/** Near enough below the last row, by the pitch of the rows so far. */
function isNear(rows: readonly Row[], row: Row): boolean {
  const size = sizeOf(row);
  const pitches = rows.slice(-12).map((one, index, all) => (index === 0 ? 0 : yOf(one) - yOf(all[index - 1] ?? one)));
  const usual = Math.max(0, ...pitches);
  const gap = yOf(row) - yOf(rows.at(-1) ?? row);
  return gap <= Math.max(usual * 2.1, size * (rows.length === 1 ? WIDEST_PITCH : 2));
}

/** A heading or a paragraph below a table, rather than a row with one cell, a wrapped cell or a note between rows. */
function startsSomethingElse({ rows, columns }: Growth, row: Row, next: Row | undefined): boolean {
  const [only] = row;
  const last = rows.at(-1);
  if (only === undefined || last === undefined) return true;
  if (sizeOf(row) > Math.max(...rows.slice(-6).map(sizeOf)) * 1.1) return true;
  if (rows.length > 2 && yOf(row) - yOf(last) > 1.7 * usualPitch(rows)) return true;
  if (isWithinOneColumn(row, columns)) {
    const wraps = yOf(row) - yOf(last) < 1.35 * only.size && last.some((cell) => overlaps(cell, only));
    return !wraps && (next === undefined || next.length < 2 || fit({ rows: [...rows], columns }, next) === null);
  }
  return last.length < 2 || next === undefined || next.length < 2 || fit({ rows: [...rows], columns }, next) === null;
}

function isWithinOneColumn(row: Row, columns: readonly Column[]): boolean {
  const [only] = row;
  return only !== undefined && columns.filter((column) => overlaps(only, column)).length <= 1;
}

/** The columns with the row in them; null when it does not stand in these columns. */
function fit({ rows, columns }: Growth, row: Row): readonly Column[] | null {
  const redrawn = columnsOf([...rows.slice(-DRAWING_WINDOW), row]);
  if (redrawn.length < Math.max(2, columns.length)) return null;
  const misplaced = [...rows.slice(-8), row].map((one) => misfits(one, redrawn));
  const own = misplaced.at(-1) ?? 0;
  if (own * 3 > row.length) return null;
  const others = misplaced.slice(0, -1).reduce((sum, count) => sum + count, 0);
  return others * 3 <= rows.slice(-8).reduce((sum, one) => sum + one.length, 0) ? redrawn : null;
}

/** Pieces that share their column with another of the row, or span columns that other pieces of the row stand in. */
function misfits(row: Row, columns: readonly Column[]): number {
  if (row.length < 2) return 0;
  let count = 0;
  let taken = -1;
  for (const piece of row) {
    const spans = columns.flatMap((column, index) => (overlaps(piece, column) ? [index] : []));
    if ((spans[0] ?? 0) <= taken) count += 1;
    taken = Math.max(taken, spans.at(-1) ?? taken);
  }
  return count;
}

/** Draws columns: rows with most and narrowest pieces first; a piece widens the one column that it touches, or makes one. */
function columnsOf(rows: readonly Row[]): readonly Column[] {
  const columns: MutableColumn[] = [];
  for (const row of [...rows].sort((one, other) => other.length - one.length || widest(one) - widest(other))) {
    if (row.length < 2 && columns.length > 0) continue;
    for (const { x0, x1 } of row) {
      const touched = columns.filter((column) => overlaps({ x0, x1 }, column));
      const [only] = touched;
      if (only === undefined) columns.push({ x0, x1 });
      else if (touched.length === 1) Object.assign(only, { x0: Math.min(only.x0, x0), x1: Math.max(only.x1, x1) });
    }
    columns.sort((one, other) => one.x0 - other.x0);
  }
  return columns;
}

function widest(row: Row): number {
  return row.reduce((most, { x0, x1 }) => Math.max(most, x1 - x0), 0);
}

function overlaps(one: Column, other: Column): boolean {
  return Math.min(one.x1, other.x1) - Math.max(one.x0, other.x0) > 0.5;
}

function isTable(rows: readonly Row[]): boolean {
  const full = rows.filter((row) => row.length > 1);
  if (full.length < 2) return false;
  const columns = columnsOf(rows);
  const gap = Math.min(...columns.slice(1).map((column, index) => column.x0 - (columns[index]?.x1 ?? 0)));
  if (full.length === 2 && gap < SURE_GAP * sizeOf(full[0] ?? []) && columns.length < 4) return false;
  return columns.length >= 2;
}

function tableOf(rows: readonly Row[]): Table {
  const columns = columnsOf(rows);
  const cells: string[][] = [];
  const pitch = usualPitch(rows);
  rows.forEach((row, index) => {
    const previous = rows[index - 1];
    const line = columns.map(() => '');
    for (const piece of row) {
      const column = columns.findIndex((one) => overlaps(piece, one));
      const at = column < 0 ? nearest(piece, columns) : column;
      line[at] = [line[at], piece.text].filter(Boolean).join(' ');
    }
    const last = cells.at(-1);
    if (previous !== undefined && last !== undefined && wraps(row, previous, { pitch, line, last })) {
      line.forEach((text, at) => {
        last[at] = [last[at], text].filter(Boolean).join(' ');
      });
    } else cells.push(line);
  });
  return { kind: 'table', rows: cells, columns };
}

interface Wrapping {
  readonly pitch: number;
  readonly line: readonly string[];
  readonly last: readonly string[];
}

/**
 * Whether a row goes with the one above it: second lines of cells (closer than rows usually are, and only below filled
 * cells), or cells that are set at half height between rows.
 */
function wraps(row: Row, previous: Row, { pitch, line, last }: Wrapping): boolean {
  const isBeside = yOf(row) - yOf(previous) < 0.85 * Math.min(sizeOf(row), sizeOf(previous));
  if (isBeside && line.every((text, at) => text === '' || last[at] === '')) return true;
  if (yOf(row) - yOf(previous) > 0.8 * pitch || line[0] !== '') return false;
  return row.length < previous.length && line.every((text, at) => text === '' || last[at] !== '');
}

/** The distance between rows that begin in the first column. */
function usualPitch(rows: readonly Row[]): number {
  const ys = rows.filter((row) => row.length > 1).map(yOf);
  const gaps = ys.slice(1).map((y, index) => y - (ys[index] ?? y));
  return gaps.sort((one, other) => one - other)[Math.floor(gaps.length / 2)] ?? 0;
}

function nearest(piece: Column, columns: readonly Column[]): number {
  const distances = columns.map(({ x0, x1 }) => Math.max(x0 - piece.x1, piece.x0 - x1));
  return distances.indexOf(Math.min(...distances));
}

function yOf(row: Row): number {
  return row[0]?.y ?? 0;
}

function sizeOf(row: Row): number {
  return row.reduce((most, { size }) => Math.max(most, size), 0);
}
