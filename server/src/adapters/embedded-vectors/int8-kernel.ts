const PAGE_BYTES = 65_536;
/** Codes copied to the kernel at a time: small enough to stay in the processor's cache. */
const BLOCK_BYTES = 262_144;
const QUERY_OFFSET = 0;

/** The part of WebAssembly used here; the language's library types declare it for browsers only. */
declare const WebAssembly: {
  readonly Memory: new (size: { readonly initial: number }) => WasmMemory;
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object, imports: object) => { readonly exports: Readonly<Record<string, unknown>> };
};

interface WasmMemory {
  /** Another one after `grow`. */
  readonly buffer: ArrayBuffer;
  grow(pages: number): number;
}

/** Dot products of int8 rows with one int16 query, sixteen components at a time. */
export interface Int8Kernel {
  /** Components of rows and query come in multiples of this; pad with zeros. */
  readonly lanes: number;
  /** Most rows in one call. */
  blockRows(stride: number): number;
  setQuery(query: Int16Array): void;
  /** One product a row; the array is overwritten by the next call. `codes` holds `rows * stride` numbers. */
  dots(codes: Int8Array, stride: number): Int32Array;
}

/** (codes, query, rows, stride, out): addresses in the memory, and counts. */
type DotFunction = (...numbers: readonly number[]) => void;

/**
 * A kernel over WebAssembly SIMD, which every supported Node has. Measured with 20,000 rows of 256 components: 0.5 ms,
 * against 4.7 ms for the best loop in plain JavaScript.
 */
export function createInt8Kernel(): Int8Kernel {
  const memory = new WebAssembly.Memory({ initial: 1 });
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(dotModule()), { m: { m: memory } });
  const dotRows = exports['d'] as DotFunction;
  const blockRows = (stride: number): number => Math.max(1, Math.floor(BLOCK_BYTES / stride));
  let queryBytes = 0;

  function reserve(bytes: number): void {
    const missing = bytes - memory.buffer.byteLength;
    if (missing > 0) memory.grow(Math.ceil(missing / PAGE_BYTES));
  }

  return {
    lanes: 16,
    blockRows,
    setQuery(codes) {
      queryBytes = codes.byteLength;
      reserve(codes.byteLength);
      new Int16Array(memory.buffer, QUERY_OFFSET, codes.length).set(codes);
    },
    dots(codes, stride) {
      const rows = codes.length / stride;
      const outOffset = QUERY_OFFSET + queryBytes;
      const codesOffset = outOffset + rows * Int32Array.BYTES_PER_ELEMENT;
      reserve(codesOffset + codes.length);
      new Int8Array(memory.buffer, codesOffset, codes.length).set(codes);
      if (rows > 0) dotRows(codesOffset, QUERY_OFFSET, rows, stride, outOffset);
      return new Int32Array(memory.buffer, outOffset, rows);
    },
  };
}

const I32 = 0x7f;
const V128 = 0x7b;
const EMPTY_BLOCK = 0x40;
const LOOP = [0x03, EMPTY_BLOCK];
const END = [0x0b];
const REPEAT_IF = [0x0d, 0x00];
const I32_ADD = [0x6a];
const I32_SUBTRACT = [0x6b];
const I32_LESS_UNSIGNED = [0x49];
const I32_STORE = [0x36, 2, 0];
const V128_ZERO = [...simd(12), ...new Array<number>(16).fill(0)];
const I32X4_ADD = simd(174);
const I32X4_DOT_I16X8 = simd(186);

/**
 * The module's bytes (WebAssembly core specification 2.0, binary format):
 * `for each row { sum = 0; for each 16 components { sum += codes[0..8] . query[0..8] + codes[8..16] . query[8..16] } out = sum }`
 */
function dotModule(): Uint8Array {
  const [codes, query, rows, stride, out, rowEnd, queryAt, sum] = [0, 1, 2, 3, 4, 5, 6, 7] as const;
  const addProducts = (half: 0 | 1): number[] => [
    ...getLocal(codes),
    ...loadEightCodes(half * 8),
    ...getLocal(queryAt),
    ...loadVector(half * 16),
    ...I32X4_DOT_I16X8,
    ...I32X4_ADD,
  ];
  const advance = (local: number, bytes: number): number[] => [...getLocal(local), ...constant(bytes), ...I32_ADD];
  const body = [
    ...LOOP,
    ...[...V128_ZERO, ...setLocal(sum)],
    ...[...getLocal(query), ...setLocal(queryAt)],
    ...[...getLocal(codes), ...getLocal(stride), ...I32_ADD, ...setLocal(rowEnd)],
    ...LOOP,
    ...[...getLocal(sum), ...addProducts(0), ...addProducts(1), ...setLocal(sum)],
    ...[...advance(queryAt, 32), ...setLocal(queryAt)],
    ...[...advance(codes, 16), ...teeLocal(codes), ...getLocal(rowEnd), ...I32_LESS_UNSIGNED, ...REPEAT_IF],
    ...END,
    ...[...getLocal(out), ...sumOfLanes(sum), ...I32_STORE],
    ...[...advance(out, 4), ...setLocal(out)],
    ...[...getLocal(rows), ...constant(1), ...I32_SUBTRACT, ...teeLocal(rows), ...REPEAT_IF],
    ...END,
    ...END,
  ];
  const code = [
    ...list([
      [2, I32],
      [1, V128],
    ]),
    ...body,
  ];
  return new Uint8Array([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, [[0x60, ...list([[I32], [I32], [I32], [I32], [I32]]), 0]]),
    ...section(2, [[...name('m'), ...name('m'), 0x02, 0x00, 1]]),
    ...section(3, [[0]]),
    ...section(7, [[...name('d'), 0x00, 0]]),
    ...section(10, [[...unsigned(code.length), ...code]]),
  ]);
}

function sumOfLanes(local: number): number[] {
  const lane = (index: number): number[] => [...getLocal(local), ...simd(27), index];
  return [...lane(0), ...lane(1), ...I32_ADD, ...lane(2), ...I32_ADD, ...lane(3), ...I32_ADD];
}

function getLocal(index: number): number[] {
  return [0x20, index];
}

function setLocal(index: number): number[] {
  return [0x21, index];
}

function teeLocal(index: number): number[] {
  return [0x22, index];
}

/** Below 64, where signed and unsigned encodings agree. */
function constant(value: number): number[] {
  return [0x41, value];
}

function loadEightCodes(offset: number): number[] {
  return [...simd(1), 0, offset];
}

function loadVector(offset: number): number[] {
  return [...simd(0), 0, offset];
}

function simd(operation: number): number[] {
  return [0xfd, ...unsigned(operation)];
}

function name(text: string): number[] {
  return [text.length, ...Buffer.from(text, 'latin1')];
}

function section(id: number, items: readonly (readonly number[])[]): number[] {
  const body = list(items);
  return [id, ...unsigned(body.length), ...body];
}

function list(items: readonly (readonly number[])[]): number[] {
  return [...unsigned(items.length), ...items.flat()];
}

/** LEB128. */
function unsigned(value: number): number[] {
  const bytes: number[] = [];
  for (let rest = value; ; rest >>>= 7) {
    if (rest < 0x80) return [...bytes, rest];
    bytes.push((rest & 0x7f) | 0x80);
  }
}
