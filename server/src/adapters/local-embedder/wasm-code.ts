/** Pieces of a WebAssembly module's binary form (core specification 2.0), as far as this folder's kernel needs them. */
export type Code = readonly number[];

const I32 = 0x7f;
const F32 = 0x7d;
const V128 = 0x7b;
const EMPTY_BLOCK = 0x40;

export const I32_ADD: Code = [0x6a];
export const I32_SHIFT_LEFT: Code = [0x74];
export const I32X4_ADD = simd(174);
export const I32X4_DOT_I16X8 = simd(186);
export const F32X4_FROM_I32X4 = simd(250);
export const F32X4_MULTIPLY = simd(230);
export const F32X4_ADD = simd(228);
export const F32X4_SUBTRACT = simd(229);
export const F32X4_MAXIMUM = simd(233);
export const F32X4_NEAREST = simd(106);
export const F32X4_SPLAT = simd(19);
/** Not a number gives 0. */
export const I32X4_FROM_F32X4 = simd(248);
/** Two vectors of four make one of eight. */
export const I16X8_NARROW = simd(133);
export const F32_FROM_I32: Code = [0xb2];
export const F32_ADD: Code = [0x92];
export const F32_MULTIPLY: Code = [0x94];
export const F32_DIVIDE: Code = [0x95];
export const F32_SQUARE_ROOT: Code = [0x91];
export const V128_ZERO: Code = [...simd(12), ...new Array<number>(16).fill(0)];

export function getLocal(index: number): Code {
  return [0x20, ...unsigned(index)];
}

export function setLocal(index: number): Code {
  return [0x21, ...unsigned(index)];
}

export function constant(value: number): Code {
  return [0x41, ...signed(value)];
}

/** Sixteen bytes at the address on the stack plus the offset. */
export function loadVector(offset: number): Code {
  return [...simd(0), 2, ...unsigned(offset)];
}

/** Four bytes at the address on the stack plus the offset, in each of the four lanes. */
export function loadSplat(offset: number): Code {
  return [...simd(9), 2, ...unsigned(offset)];
}

export function storeVector(offset: number): Code {
  return [...simd(11), 2, ...unsigned(offset)];
}

/** A 32-bit float. */
export function floatConstant(value: number): Code {
  return [0x43, ...new Uint8Array(Float32Array.of(value).buffer)];
}

/** The 32-bit float on the stack, to the address below it. */
export const STORE_FLOAT: Code = [0x38, 2, 0];

/** Sum of the four lanes of a local. */
export function sumOfLanes(local: number): Code {
  const lane = (index: number): Code => [...getLocal(local), ...simd(31), index];
  return [...lane(0), ...lane(1), ...F32_ADD, ...lane(2), ...F32_ADD, ...lane(3), ...F32_ADD];
}

/** Moves the pointer in a local on by a number of bytes. */
export function advance(local: number, by: Code): Code {
  return [...getLocal(local), ...by, ...I32_ADD, ...setLocal(local)];
}

/** Runs the body as often as the local says, at least once, counting it down to zero. */
export function repeat(counter: number, body: Code): Code {
  return [
    ...[0x03, EMPTY_BLOCK],
    ...body,
    ...getLocal(counter),
    ...constant(-1),
    ...I32_ADD,
    ...[0x22, ...unsigned(counter)],
    ...[0x0d, 0x00],
    ...[0x0b],
  ];
}

/**
 * A module that imports its memory as `m.m` and exports one function `f`: its parameters are 32-bit numbers, its further
 * locals 32-bit numbers, then floats, then vectors; it returns nothing.
 */
export function moduleOf(
  counts: {
    readonly parameters: number;
    readonly numbers: number;
    readonly floats?: number;
    readonly vectors: number;
  },
  body: Code,
): Uint8Array {
  const locals = list([
    [...unsigned(counts.numbers), I32],
    [...unsigned(counts.floats ?? 0), F32],
    [...unsigned(counts.vectors), V128],
  ]);
  const code = [...locals, ...body, 0x0b];
  const parameters = list(Array.from({ length: counts.parameters }, () => [I32]));
  return new Uint8Array([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, [[0x60, ...parameters, 0]]),
    ...section(2, [[...name('m'), ...name('m'), 0x02, 0x00, 1]]),
    ...section(3, [[0]]),
    ...section(7, [[...name('f'), 0x00, 0]]),
    ...section(10, [[...unsigned(code.length), ...code]]),
  ]);
}

function simd(operation: number): Code {
  return [0xfd, ...unsigned(operation)];
}

function name(text: string): Code {
  return [text.length, ...Buffer.from(text, 'latin1')];
}

function section(id: number, items: readonly Code[]): Code {
  const body = list(items);
  return [id, ...unsigned(body.length), ...body];
}

function list(items: readonly Code[]): Code {
  return [...unsigned(items.length), ...items.flat()];
}

/** LEB128. */
function unsigned(value: number): Code {
  const bytes: number[] = [];
  for (let rest = value; ; rest >>>= 7) {
    if (rest < 0x80) return [...bytes, rest];
    bytes.push((rest & 0x7f) | 0x80);
  }
}

function signed(value: number): Code {
  const bytes: number[] = [];
  for (let rest = value; ; rest >>= 7) {
    if (rest >= -0x40 && rest < 0x40) return [...bytes, rest & 0x7f];
    bytes.push((rest & 0x7f) | 0x80);
  }
}
