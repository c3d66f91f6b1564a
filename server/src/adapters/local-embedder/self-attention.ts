import { COLUMN_TILE, type LeftMatrix, type MatrixKernel, type RightMatrix } from './matrix-kernel.ts';
import { columnScale, quantiseColumn, quantiseRow } from './quantise.ts';

/** Where the queries, keys and values of one text are: rows of `3 x width` numbers. */
export interface AttentionInput {
  readonly values: Float32Array;
  readonly firstRow: number;
  readonly rows: number;
  readonly width: number;
  readonly heads: number;
}

/** Scaled dot-product attention (Vaswani et al. 2017) over one text's rows. */
export interface SelfAttention {
  /** Writes rows of `width` numbers, from the same row on; a few numbers of the rows behind them are overwritten. */
  attend(input: AttentionInput, out: Float32Array): void;
}

/** For texts of so many rows, and heads so wide, at most. Both are multiples of the kernel's tiles. */
export interface AttentionLimits {
  readonly rows: number;
  readonly headWidth: number;
}

export function createSelfAttention(kernel: MatrixKernel, { rows, headWidth }: AttentionLimits): SelfAttention {
  const right = (): RightMatrix => ({
    codes: kernel.shorts(rows * headWidth),
    factors: kernel.floats(Math.max(rows, headWidth)),
    bias: kernel.floats(Math.max(rows, headWidth)),
  });
  const left = (columns: number): LeftMatrix => ({
    codes: kernel.shorts(rows * columns),
    factors: kernel.floats(rows),
  });
  const parts: Parts = {
    queries: left(headWidth),
    shares: left(rows),
    keys: right(),
    values: right(),
    likeness: kernel.floats(rows * rows),
    key: kernel.shorts(headWidth),
  };
  return {
    attend(input, out) {
      const { firstRow, rows: count, width, heads } = input;
      const depth = width / heads;
      const columns = Math.ceil(count / COLUMN_TILE) * COLUMN_TILE;
      for (let head = 0; head < heads; head += 1) {
        const part: HeadInput = { ...input, depth, columns, start: firstRow * 3 * width + head * depth };
        placeQueries(part, parts.queries);
        placeKeys(part, parts);
        placeValues(part, parts.values);
        const likeness = { rows: count, depth, columns, outStride: columns };
        kernel.multiply({ left: parts.queries, right: parts.keys }, parts.likeness, likeness);
        shareOut(part, parts.likeness, parts.shares);
        const mixed = { rows: count, depth: columns, columns: depth, outStride: width };
        kernel.multiply(
          { left: parts.shares, right: parts.values },
          out.subarray(firstRow * width + head * depth),
          mixed,
        );
      }
    },
  };
}

interface Parts {
  readonly queries: LeftMatrix;
  /** How much each row takes of each other row. */
  readonly shares: LeftMatrix;
  readonly keys: RightMatrix;
  readonly values: RightMatrix;
  readonly likeness: Float32Array;
  /** Room for the codes of one key. */
  readonly key: Int16Array;
}

/** One head: `start` is its first query; keys and values stand one and two widths behind. */
interface HeadInput extends AttentionInput {
  readonly depth: number;
  /** `rows`, filled up to whole tiles. */
  readonly columns: number;
  readonly start: number;
}

function placeQueries({ values, rows, width, depth, start }: HeadInput, { codes, factors }: LeftMatrix): void {
  const damping = 1 / Math.sqrt(depth);
  for (let row = 0; row < rows; row += 1) {
    const run = { values, start: start + row * 3 * width, length: depth };
    factors[row] = quantiseRow(run, codes, row * depth) * damping;
  }
}

/** A key is a column: its codes, in pairs, stand eight pairs apart. */
function placeKeys({ values, rows, width, depth, start, columns }: HeadInput, { keys, key }: Parts): void {
  const { codes, factors } = keys;
  const keyPairs = new Int32Array(key.buffer, key.byteOffset, depth / 2);
  const pairs = new Int32Array(codes.buffer, codes.byteOffset, (columns * depth) / 2);
  const pairsADepth = depth / 2;
  for (let row = 0; row < columns; row += 1) {
    if (row < rows) {
      const run = { values, start: start + width + row * 3 * width, length: depth };
      factors[row] = quantiseColumn(run, key, 0);
    } else key.fill(0, 0, depth);
    let at = (row >> 3) * pairsADepth * COLUMN_TILE + (row & 7);
    for (let pair = 0; pair < pairsADepth; pair += 1, at += COLUMN_TILE) pairs[at] = keyPairs[pair] as number;
  }
}

/** A value is a row of the right matrix: its columns are measured first. */
function placeValues({ values, rows, width, depth, start, columns }: HeadInput, { codes, factors }: RightMatrix): void {
  codes.fill(0, 0, columns * depth);
  const first = start + 2 * width;
  for (let c = 0; c < depth; c += 1) {
    let squares = 0;
    let largest = 0;
    for (let row = 0, at = first + c; row < rows; row += 1, at += 3 * width) {
      const value = values[at] as number;
      squares += value * value;
      if (value > largest) largest = value;
      else if (-value > largest) largest = -value;
    }
    const scale = columnScale(squares, largest);
    factors[c] = 1 / scale;
    const panel = (c >> 3) * columns * COLUMN_TILE + (c & 7) * 2;
    for (let row = 0, at = first + c; row < rows; row += 1, at += 3 * width) {
      codes[panel + (row >> 1) * 2 * COLUMN_TILE + (row & 1)] =
        (((values[at] as number) * scale + 32_768.5) | 0) - 32_768;
    }
  }
}

/** Softmax of each row. */
function shareOut({ rows, columns }: HeadInput, likeness: Float32Array, { codes, factors }: LeftMatrix): void {
  for (let row = 0; row < rows; row += 1) {
    const start = row * columns;
    let largest = Number.NEGATIVE_INFINITY;
    for (let i = start; i < start + rows; i += 1) largest = Math.max(largest, likeness[i] as number);
    let total = 0;
    for (let i = start; i < start + rows; i += 1) {
      const share = Math.exp((likeness[i] as number) - largest);
      likeness[i] = share;
      total += share;
    }
    likeness.fill(0, start + rows, start + columns);
    factors[row] = quantiseRow({ values: likeness, start, length: columns }, codes, start) / total;
  }
}
