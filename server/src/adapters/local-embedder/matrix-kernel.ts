import {
  advance,
  type Code,
  constant,
  F32X4_ADD,
  F32X4_FROM_I32X4,
  F32X4_MULTIPLY,
  getLocal,
  I32_SHIFT_LEFT,
  I32X4_ADD,
  I32X4_DOT_I16X8,
  loadSplat,
  loadVector,
  moduleOf,
  repeat,
  setLocal,
  storeVector,
  V128_ZERO,
} from './wasm-code.ts';

/** Rows, columns and the length of the products come in multiples of these; pad with zeros. */
export const ROW_TILE = 4;
export const COLUMN_TILE = 8;
export const DEPTH_TILE = 8;

const PAGE_BYTES = 65_536;

/** The part of WebAssembly used here; the language's library types declare it for browsers only. */
declare const WebAssembly: {
  readonly Memory: new (size: { readonly initial: number }) => { readonly buffer: ArrayBuffer };
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object, imports: object) => { readonly exports: Readonly<Record<string, unknown>> };
};

/** `rows x depth` codes, one row after the other, with the factor that turns each row's codes back into numbers. */
export interface LeftMatrix {
  readonly codes: Int16Array;
  readonly factors: Float32Array;
}

/** `depth x columns` codes in panels (`panelPosition`), with a factor and a bias a column. */
export interface RightMatrix {
  readonly codes: Int16Array;
  readonly factors: Float32Array;
  readonly bias: Float32Array;
}

/** What is multiplied. */
export interface Factors {
  readonly left: LeftMatrix;
  readonly right: RightMatrix;
}

export interface ProductShape {
  readonly rows: number;
  readonly depth: number;
  readonly columns: number;
  /** Numbers from one row of the result to the next. */
  readonly outStride: number;
}

/** Products of matrices of 16-bit codes, over memory that the kernel hands out. */
export interface MatrixKernel {
  /** Arrays of zeros in the kernel's memory, which its products work on. */
  shorts(length: number): Int16Array;
  floats(length: number): Float32Array;
  /** `out = left . right`, turned back into numbers, plus the bias. Writes whole tiles of rows. */
  multiply(factors: Factors, out: Float32Array, shape: ProductShape): void;
}

/** Where the code of (depth, column) is in a right matrix: eight columns a panel, pairs of depths side by side. */
export function panelPosition(row: number, column: number, depth: number): number {
  const panel = Math.floor(column / COLUMN_TILE) * depth * COLUMN_TILE;
  return panel + (row >> 1) * 2 * COLUMN_TILE + (column % COLUMN_TILE) * 2 + (row & 1);
}

type MultiplyFunction = (...numbers: readonly number[]) => void;

/**
 * A kernel over WebAssembly SIMD with a fixed memory: one instruction multiplies eight pairs of 16-bit codes, where
 * 32-bit floats get four. Codes must be so small that no sum of products leaves 32 bits (`quantise.ts` sees to that).
 */
export function createMatrixKernel(memoryBytes: number): MatrixKernel {
  const memory = new WebAssembly.Memory({ initial: Math.ceil(memoryBytes / PAGE_BYTES) });
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(multiplyModule()), { m: { m: memory } });
  const multiplyTiles = exports['f'] as MultiplyFunction;
  let used = 0;

  function reserve(bytes: number): number {
    const position = used;
    used += Math.ceil(bytes / 16) * 16;
    return position;
  }

  return {
    shorts: (length) => new Int16Array(memory.buffer, reserve(length * 2), length),
    floats: (length) => new Float32Array(memory.buffer, reserve(length * 4), length),
    multiply({ left, right }, out, { rows, depth, columns, outStride }) {
      multiplyTiles(
        ...[left.codes.byteOffset, right.codes.byteOffset, out.byteOffset],
        ...[left.factors.byteOffset, right.factors.byteOffset, right.bias.byteOffset],
        ...[Math.ceil(rows / ROW_TILE), columns / COLUMN_TILE, depth / DEPTH_TILE],
        ...[depth * 2, outStride * 4],
      );
    },
  };
}

/**
 * `for each panel of 8 columns { for each 4 rows { 8 sums of 4 = 0; for each 8 depths { sums += rows x panel } out = ... } }`
 */
function multiplyModule(): Uint8Array {
  const [left, right, out, rowFactors, columnFactors, bias, rowTiles, panels, steps, leftStride, outStride] = [
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10,
  ] as const;
  const [leftRow, outAt, factorAt, rowsLeft, stepsLeft, panelAt] = [11, 12, 13, 14, 15, 16] as const;
  const rowAt = [17, 18, 19, 20] as const;
  const sums = [21, 22, 23, 24, 25, 26, 27, 28] as const;
  const [firstHalf, secondHalf, pair] = [29, 30, 31] as const;

  const addProduct = (sum: number, half: number): Code => [
    ...[...getLocal(sum), ...getLocal(pair), ...getLocal(half), ...I32X4_DOT_I16X8],
    ...[...I32X4_ADD, ...setLocal(sum)],
  ];
  const addPairOfDepths = (index: number): Code => [
    ...[...getLocal(panelAt), ...loadVector(index * 32), ...setLocal(firstHalf)],
    ...[...getLocal(panelAt), ...loadVector(index * 32 + 16), ...setLocal(secondHalf)],
    ...rowAt.flatMap((row, position) => [
      ...[...getLocal(row), ...loadSplat(index * 4), ...setLocal(pair)],
      ...addProduct(sums[position * 2] ?? 0, firstHalf),
      ...addProduct(sums[position * 2 + 1] ?? 0, secondHalf),
    ]),
  ];
  const storeHalf = (position: number, half: 0 | 1): Code => [
    ...getLocal(outAt),
    ...[...getLocal(sums[position * 2 + half] ?? 0), ...F32X4_FROM_I32X4],
    ...[...getLocal(factorAt), ...loadSplat(position * 4), ...F32X4_MULTIPLY],
    ...[...getLocal(columnFactors), ...loadVector(half * 16), ...F32X4_MULTIPLY],
    ...[...getLocal(bias), ...loadVector(half * 16), ...F32X4_ADD],
    ...storeVector(half * 16),
  ];
  const tile: Code = [
    ...[...getLocal(leftRow), ...setLocal(rowAt[0])],
    ...[1, 2, 3].flatMap((position) => [
      ...[...getLocal(rowAt[position - 1] ?? 0), ...setLocal(rowAt[position] ?? 0)],
      ...advance(rowAt[position] ?? 0, getLocal(leftStride)),
    ]),
    ...[...getLocal(right), ...setLocal(panelAt)],
    ...[...getLocal(steps), ...setLocal(stepsLeft)],
    ...sums.flatMap((sum) => [...V128_ZERO, ...setLocal(sum)]),
    ...repeat(stepsLeft, [
      ...[0, 1, 2, 3].flatMap(addPairOfDepths),
      ...rowAt.flatMap((row) => advance(row, constant(16))),
      ...advance(panelAt, constant(128)),
    ]),
    ...[0, 1, 2, 3].flatMap((position) => [
      ...storeHalf(position, 0),
      ...storeHalf(position, 1),
      ...advance(outAt, getLocal(outStride)),
    ]),
    ...advance(leftRow, [...getLocal(leftStride), ...constant(2), ...I32_SHIFT_LEFT]),
    ...advance(factorAt, constant(16)),
  ];
  const panel: Code = [
    ...[...getLocal(left), ...setLocal(leftRow), ...getLocal(out), ...setLocal(outAt)],
    ...[...getLocal(rowFactors), ...setLocal(factorAt), ...getLocal(rowTiles), ...setLocal(rowsLeft)],
    ...repeat(rowsLeft, tile),
    ...[...getLocal(panelAt), ...setLocal(right)],
    ...advance(columnFactors, constant(32)),
    ...advance(bias, constant(32)),
    ...advance(out, constant(32)),
  ];
  return moduleOf({ parameters: 11, numbers: 10, vectors: 11 }, repeat(panels, panel));
}
