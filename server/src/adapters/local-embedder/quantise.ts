import { panelPosition, type RightMatrix, ROW_LENGTH } from './matrix-kernel.ts';

const COLUMN_LENGTH = 65_000;
const LARGEST_CODE = 32_767;

/** A run of numbers in an array. */
export interface Run {
  readonly values: Float32Array;
  readonly start: number;
  readonly length: number;
}

/** Writes the codes of a row and returns the factor that turns them back into numbers. */
export function quantiseRow({ values, start, length }: Run, codes: Int16Array, at: number): number {
  return writeCodes({ values, start, length }, { codes, at, scale: scaleOf(values, start, length) });
}

/** As `quantiseRow`, for a row that is one column of a right matrix. */
export function quantiseColumn({ values, start, length }: Run, codes: Int16Array, at: number): number {
  let squares = 0;
  let largest = 0;
  for (let i = start; i < start + length; i += 1) {
    const value = values[i] as number;
    squares += value * value;
    largest = Math.max(largest, Math.abs(value));
  }
  return writeCodes({ values, start, length }, { codes, at, scale: columnScale(squares, largest) });
}

/** The scale of a column of the given sum of squares and largest magnitude. */
export function columnScale(squares: number, largest: number): number {
  return squares > 0 ? Math.min(COLUMN_LENGTH / Math.sqrt(squares), LARGEST_CODE / largest) : 1;
}

/** Fills a right matrix from `depth x columns` numbers, one row after the other. */
export function quantiseMatrix(
  values: Float32Array,
  right: RightMatrix,
  { depth, columns }: { readonly depth: number; readonly columns: number },
): void {
  const column = new Float32Array(depth);
  const codes = new Int16Array(depth);
  for (let c = 0; c < columns; c += 1) {
    for (let r = 0; r < depth; r += 1) column[r] = values[r * columns + c] as number;
    right.factors[c] = quantiseColumn({ values: column, start: 0, length: depth }, codes, 0);
    for (let r = 0; r < depth; r += 1) right.codes[panelPosition(r, c, depth)] = codes[r] as number;
  }
}

function scaleOf(values: Float32Array, start: number, length: number): number {
  let squares = 0;
  for (let i = start; i < start + length; i += 1) {
    const value = values[i] as number;
    squares += value * value;
  }
  return squares > 0 ? ROW_LENGTH / Math.sqrt(squares) : 1;
}

function writeCodes(
  { values, start, length }: Run,
  { codes, at, scale }: { readonly codes: Int16Array; readonly at: number; readonly scale: number },
): number {
  // The sum is positive, so that cutting off its fraction rounds to the nearest.
  for (let i = 0; i < length; i += 1) codes[at + i] = (((values[start + i] as number) * scale + 32_768.5) | 0) - 32_768;
  return 1 / scale;
}
