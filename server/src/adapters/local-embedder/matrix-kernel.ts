import {
  advance,
  type Code,
  constant,
  F32_ADD,
  F32_DIVIDE,
  F32_FROM_I32,
  F32_MULTIPLY,
  F32_SQUARE_ROOT,
  F32X4_ADD,
  F32X4_FROM_I32X4,
  F32X4_MAXIMUM,
  F32X4_MULTIPLY,
  F32X4_NEAREST,
  F32X4_SPLAT,
  F32X4_SUBTRACT,
  floatConstant,
  getLocal,
  I16X8_NARROW,
  I32_SHIFT_LEFT,
  I32X4_ADD,
  I32X4_DOT_I16X8,
  I32X4_FROM_F32X4,
  loadSplat,
  loadVector,
  moduleOf,
  repeat,
  STORE_FLOAT,
  setLocal,
  storeVector,
  sumOfLanes,
  V128_ZERO,
} from './wasm-code.ts';

/** Rows, columns and the length of the products come in multiples of these; pad with zeros. */
const ROW_TILE = 4;
export const COLUMN_TILE = 8;
const DEPTH_TILE = 8;
/**
 * Rows are brought to this length before they are rounded, columns to a little more than twice of it: by Cauchy and Schwarz no sum of
 * their products, nor a part of it, can then leave 32 bits, whatever the numbers.
 */
export const ROW_LENGTH = 32_000;

const EPSILON = 1e-6;

/** A result is no wider. */
const MOST_COLUMNS = 1_536;
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

/** Rows of numbers, one after the other; the width is a multiple of 8. */
export interface RowShape {
  readonly rows: number;
  readonly width: number;
}

/** What the numbers of a normalised row are multiplied with and moved by. */
export interface Norm {
  readonly scale: Float32Array;
  readonly bias: Float32Array;
}

export interface ProductShape {
  readonly rows: number;
  readonly depth: number;
  readonly columns: number;
  /** Numbers from one row of the result to the next. */
  readonly outStride: number;
  /** True: the products are added to what `out` holds. Default false. */
  readonly adds?: boolean;
}

/** Products of matrices of 16-bit codes, over memory that the kernel hands out. */
export interface MatrixKernel {
  /** Arrays of zeros in the kernel's memory, which its products work on. */
  shorts(length: number): Int16Array;
  floats(length: number): Float32Array;
  /** `out = left . right`, turned back into numbers, plus the bias. Writes whole tiles of rows. */
  multiply(factors: Factors, out: Float32Array, shape: ProductShape): void;
  /** Codes of rows of numbers; with `positive`, of zero for those below zero. */
  quantise(values: Float32Array, left: LeftMatrix, shape: RowShape & { readonly positive?: boolean }): void;
  /** Layer normalisation (Ba et al. 2016) of rows. */
  normalise(values: Float32Array, norm: Norm, target: { readonly out: Float32Array } & RowShape): void;
}

/** Where the code of (depth, column) is in a right matrix: eight columns a panel, pairs of depths side by side. */
export function panelPosition(row: number, column: number, depth: number): number {
  const panel = Math.floor(column / COLUMN_TILE) * depth * COLUMN_TILE;
  return panel + (row >> 1) * 2 * COLUMN_TILE + (column % COLUMN_TILE) * 2 + (row & 1);
}

type KernelFunction = (...numbers: readonly number[]) => void;

/**
 * A kernel over WebAssembly SIMD with a fixed memory: one instruction multiplies eight pairs of 16-bit codes, where
 * 32-bit floats get four. Codes must be so small that no sum of products leaves 32 bits (`quantise.ts` sees to that).
 */
export function createMatrixKernel(memoryBytes: number): MatrixKernel {
  const memory = new WebAssembly.Memory({ initial: Math.ceil(memoryBytes / PAGE_BYTES) });
  const functionOf = (module: Uint8Array): KernelFunction => {
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(module), { m: { m: memory } });
    return exports['f'] as KernelFunction;
  };
  const multiplyTiles = functionOf(multiplyModule());
  const quantiseRows = functionOf(quantiseModule());
  const normaliseRows = functionOf(normaliseModule());
  let used = 0;

  function reserve(bytes: number): number {
    const position = used;
    used += Math.ceil(bytes / 16) * 16;
    return position;
  }

  const floats = (length: number): Float32Array => new Float32Array(memory.buffer, reserve(length * 4), length);
  const zeros = floats(MOST_COLUMNS);
  const lowest = floats(1).fill(Number.NEGATIVE_INFINITY);
  return {
    shorts: (length) => new Int16Array(memory.buffer, reserve(length * 2), length),
    floats,
    multiply({ left, right }, out, { rows, depth, columns, outStride, adds = false }) {
      multiplyTiles(
        ...[left.codes.byteOffset, right.codes.byteOffset, out.byteOffset],
        ...[left.factors.byteOffset, right.factors.byteOffset, right.bias.byteOffset],
        ...[Math.ceil(rows / ROW_TILE), columns / COLUMN_TILE, depth / DEPTH_TILE],
        ...[depth * 2, outStride * 4],
        ...(adds ? [out.byteOffset, outStride * 4] : [zeros.byteOffset, 0]),
      );
    },
    quantise(values, left, { rows, width, positive = false }) {
      const floor = positive ? zeros : lowest;
      const [from, to, factors] = [values.byteOffset, left.codes.byteOffset, left.factors.byteOffset];
      quantiseRows(from, to, factors, floor.byteOffset, rows, width / 8);
    },
    normalise(values, { scale, bias }, { out, rows, width }) {
      const [factors, offsets] = [scale.byteOffset, bias.byteOffset];
      normaliseRows(values.byteOffset, out.byteOffset, factors, offsets, rows, width / 4);
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
  const [base, baseStride] = [11, 12] as const;
  const [leftRow, outAt, factorAt, rowsLeft, stepsLeft, panelAt, baseAt] = [13, 14, 15, 16, 17, 18, 19] as const;
  const rowAt = [20, 21, 22, 23] as const;
  const sums = [24, 25, 26, 27, 28, 29, 30, 31] as const;
  const [firstHalf, secondHalf, pair] = [32, 33, 34] as const;

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
    ...[...getLocal(baseAt), ...loadVector(half * 16), ...F32X4_ADD],
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
      ...advance(baseAt, getLocal(baseStride)),
    ]),
    ...advance(leftRow, [...getLocal(leftStride), ...constant(2), ...I32_SHIFT_LEFT]),
    ...advance(factorAt, constant(16)),
  ];
  const panel: Code = [
    ...[...getLocal(left), ...setLocal(leftRow), ...getLocal(out), ...setLocal(outAt)],
    ...[...getLocal(base), ...setLocal(baseAt)],
    ...[...getLocal(rowFactors), ...setLocal(factorAt), ...getLocal(rowTiles), ...setLocal(rowsLeft)],
    ...repeat(rowsLeft, tile),
    ...[...getLocal(panelAt), ...setLocal(right)],
    ...advance(columnFactors, constant(32)),
    ...advance(bias, constant(32)),
    ...advance(out, constant(32)),
    ...advance(base, constant(32)),
  ];
  return moduleOf({ parameters: 13, numbers: 11, vectors: 11 }, repeat(panels, panel));
}

/** `for each row { length = |max(row, floor)|; factor = length / ROW_LENGTH; codes = round(max(row, floor) / factor) }` */
function quantiseModule(): Uint8Array {
  const [values, codes, factors, floorAt, rows, steps, at, stepsLeft] = [0, 1, 2, 3, 4, 5, 6, 7] as const;
  const [factor, sum, floor, inverse, value] = [8, 9, 10, 11, 12] as const;
  const load = (local: number, half: 0 | 1): Code => [
    ...[...getLocal(local), ...loadVector(half * 16), ...getLocal(floor), ...F32X4_MAXIMUM],
  ];
  const addSquares = (half: 0 | 1): Code => [
    ...[...load(at, half), ...setLocal(value)],
    ...[...getLocal(value), ...getLocal(value), ...F32X4_MULTIPLY, ...getLocal(sum), ...F32X4_ADD, ...setLocal(sum)],
  ];
  const rounded = (half: 0 | 1): Code => [
    ...[...load(values, half), ...getLocal(inverse), ...F32X4_MULTIPLY, ...F32X4_NEAREST, ...I32X4_FROM_F32X4],
  ];
  const row: Code = [
    ...[
      ...V128_ZERO,
      ...setLocal(sum),
      ...getLocal(values),
      ...setLocal(at),
      ...getLocal(steps),
      ...setLocal(stepsLeft),
    ],
    ...repeat(stepsLeft, [...addSquares(0), ...addSquares(1), ...advance(at, constant(32))]),
    ...[...sumOfLanes(sum), ...F32_SQUARE_ROOT, ...floatConstant(1 / ROW_LENGTH), ...F32_MULTIPLY, ...setLocal(factor)],
    ...[...getLocal(factors), ...getLocal(factor), ...STORE_FLOAT],
    ...[...floatConstant(1), ...getLocal(factor), ...F32_DIVIDE, ...F32X4_SPLAT, ...setLocal(inverse)],
    ...[...getLocal(steps), ...setLocal(stepsLeft)],
    ...repeat(stepsLeft, [
      ...[...getLocal(codes), ...rounded(0), ...rounded(1), ...I16X8_NARROW, ...storeVector(0)],
      ...[...advance(values, constant(32)), ...advance(codes, constant(16))],
    ]),
    ...advance(factors, constant(4)),
  ];
  return moduleOf({ parameters: 6, numbers: 2, floats: 1, vectors: 4 }, [
    ...[...getLocal(floorAt), ...loadSplat(0), ...setLocal(floor)],
    ...repeat(rows, row),
  ]);
}

/** `for each row { out = (row - mean) / sqrt(variance + EPSILON) * scale + bias }` */
function normaliseModule(): Uint8Array {
  const [values, out, scale, bias, rows, steps, at, stepsLeft, scaleAt, biasAt] = [
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9,
  ] as const;
  const [share, sum, mean, value] = [10, 11, 12, 13] as const;
  const again: Code = [...getLocal(values), ...setLocal(at), ...getLocal(steps), ...setLocal(stepsLeft)];
  const average: Code = [...sumOfLanes(sum), ...getLocal(share), ...F32_MULTIPLY];
  const row: Code = [
    ...[...V128_ZERO, ...setLocal(sum), ...again],
    ...repeat(stepsLeft, [
      ...[...getLocal(at), ...loadVector(0), ...getLocal(sum), ...F32X4_ADD, ...setLocal(sum)],
      ...advance(at, constant(16)),
    ]),
    ...[...average, ...F32X4_SPLAT, ...setLocal(mean), ...V128_ZERO, ...setLocal(sum), ...again],
    ...repeat(stepsLeft, [
      ...[...getLocal(at), ...loadVector(0), ...getLocal(mean), ...F32X4_SUBTRACT, ...setLocal(value)],
      ...[...getLocal(value), ...getLocal(value), ...F32X4_MULTIPLY, ...getLocal(sum), ...F32X4_ADD, ...setLocal(sum)],
      ...advance(at, constant(16)),
    ]),
    ...[...floatConstant(1), ...average, ...floatConstant(EPSILON), ...F32_ADD, ...F32_SQUARE_ROOT, ...F32_DIVIDE],
    ...[...F32X4_SPLAT, ...setLocal(sum), ...getLocal(steps), ...setLocal(stepsLeft)],
    ...[...getLocal(scale), ...setLocal(scaleAt), ...getLocal(bias), ...setLocal(biasAt)],
    ...repeat(stepsLeft, [
      ...getLocal(out),
      ...[
        ...getLocal(values),
        ...loadVector(0),
        ...getLocal(mean),
        ...F32X4_SUBTRACT,
        ...getLocal(sum),
        ...F32X4_MULTIPLY,
      ],
      ...[
        ...getLocal(scaleAt),
        ...loadVector(0),
        ...F32X4_MULTIPLY,
        ...getLocal(biasAt),
        ...loadVector(0),
        ...F32X4_ADD,
      ],
      ...storeVector(0),
      ...[values, out, scaleAt, biasAt].flatMap((local) => advance(local, constant(16))),
    ]),
  ];
  return moduleOf({ parameters: 6, numbers: 4, floats: 1, vectors: 3 }, [
    ...[...floatConstant(0.25), ...getLocal(steps), ...F32_FROM_I32, ...F32_DIVIDE, ...setLocal(share)],
    ...repeat(rows, row),
  ]);
}
