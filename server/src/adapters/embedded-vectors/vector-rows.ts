import type { Int8Kernel } from './int8-kernel.ts';

const SMALLEST_CAPACITY = 16;
const CODE_LIMIT = 127;
const QUERY_LIMIT = 2047;
/** Bytes a row holds beside its vectors: scale and owner. */
const ROW_OVERHEAD_BYTES = 8;
/** Above this the float32 copy is given up, a fifth of the memory is left, and scores come from the codes: off by thousandths. */
const MOST_EXACT_BYTES = 128 * 1024 ** 2;

/**
 * Vectors of one length in dense arrays: int8 codes with a scale a row for scanning (symmetric scalar quantisation),
 * float32 for exact scores as long as they are not too large for that. Every row belongs to an owner (the number of a chunk). Rows that hold nothing usable (all
 * zero, or a component that is not finite) keep their place and never match.
 */
export interface VectorRows {
  readonly dimensions: number;
  readonly count: number;
  readonly bytes: number;
  append(vector: Float32Array, owner: number): number;
  overwrite(row: number, vector: Float32Array): void;
  setOwner(row: number, owner: number): void;
  /** Fills the hole with the last row. Returns the owner of the row that moved, or null when none had to. */
  remove(row: number): number | null;
  /** Gives all spare memory back, for a set that is not expected to grow soon. */
  compact(): void;
  /** Raises `best[owner]` to the approximate cosine of the owner's best row. */
  scan(query: Float32Array, best: Float32Array): void;
  /** Exact cosine; null for a row that never matches. */
  exact(row: number, query: Float32Array): number | null;
}

/** An empty set of rows for vectors of the given length. */
export function createVectorRows(
  dimensions: number,
  kernel: Int8Kernel,
  mostExactBytes = MOST_EXACT_BYTES,
): VectorRows {
  const stride = Math.ceil(dimensions / kernel.lanes) * kernel.lanes;
  const mostExactRows = Math.floor(mostExactBytes / (dimensions * Float32Array.BYTES_PER_ELEMENT));
  let capacity = 0;
  let count = 0;
  let codes = new Int8Array(0);
  let vectors: Float32Array | null = new Float32Array(0);
  let scales = new Float32Array(0);
  let owners = new Uint32Array(0);

  function resize(rows: number): void {
    capacity = rows;
    codes = moved(codes, new Int8Array(rows * stride), count * stride);
    const exactRows = Math.min(rows, mostExactRows);
    vectors = vectors && moved(vectors, new Float32Array(exactRows * dimensions), count * dimensions);
    scales = moved(scales, new Float32Array(rows), count);
    owners = moved(owners, new Uint32Array(rows), count);
  }

  function write(row: number, vector: Float32Array): void {
    const peak = largestMagnitude(vector);
    const usable = isUsable(peak);
    scales[row] = usable ? peak / CODE_LIMIT : 0;
    for (let index = 0; index < dimensions; index += 1) {
      const component = usable ? (vector[index] ?? 0) : 0;
      if (vectors !== null) vectors[row * dimensions + index] = component;
      codes[row * stride + index] = usable ? Math.round((component / peak) * CODE_LIMIT) : 0;
    }
  }

  return {
    dimensions,
    get count() {
      return count;
    },
    get bytes() {
      return capacity * (stride + ROW_OVERHEAD_BYTES) + (vectors?.byteLength ?? 0);
    },
    append(vector, owner) {
      if (count === capacity) resize(Math.max(SMALLEST_CAPACITY, Math.ceil(capacity * 1.5)));
      const row = count;
      count += 1;
      // By the rows that are there, not by the room for more: rows that are read back after a start give the same scores.
      if (count > mostExactRows) vectors = null;
      owners[row] = owner;
      write(row, vector);
      return row;
    },
    overwrite: write,
    setOwner(row, owner) {
      owners[row] = owner;
    },
    remove(row) {
      count -= 1;
      const movedOwner = row === count ? null : (owners[count] ?? 0);
      codes.copyWithin(row * stride, count * stride, (count + 1) * stride);
      vectors?.copyWithin(row * dimensions, count * dimensions, (count + 1) * dimensions);
      scales.copyWithin(row, count, count + 1);
      owners.copyWithin(row, count, count + 1);
      if (count < capacity / 4) resize(Math.ceil(capacity / 2));
      return movedOwner;
    },
    compact() {
      if (count < capacity) resize(count);
    },
    scan(query, best) {
      const quantized = quantizeQuery(query, stride);
      kernel.setQuery(quantized.codes);
      const blockRows = kernel.blockRows(stride);
      for (let first = 0; first < count; first += blockRows) {
        const end = Math.min(count, first + blockRows);
        const products = kernel.dots(codes.subarray(first * stride, end * stride), stride);
        for (let row = first; row < end; row += 1) {
          const scale = scales[row] ?? 0;
          const owner = owners[row] ?? 0;
          const score = (products[row - first] ?? 0) * scale * quantized.scale;
          if (scale > 0 && score > (best[owner] ?? 0)) best[owner] = score;
        }
      }
    },
    exact(row, query) {
      if (scales[row] === 0) return null;
      const from = vectors ?? codes;
      const start = row * (vectors === null ? stride : dimensions);
      let sum = 0;
      for (let index = 0; index < dimensions; index += 1) sum += (from[start + index] ?? 0) * (query[index] ?? 0);
      return Math.max(-1, Math.min(1, vectors === null ? sum * (scales[row] ?? 0) : sum));
    },
  };
}

/** False for a query that can match nothing: all zero, or with a component that is not finite. */
export function canMatch(query: Float32Array): boolean {
  return isUsable(largestMagnitude(query));
}

function quantizeQuery(query: Float32Array, stride: number): { readonly codes: Int16Array; readonly scale: number } {
  const peak = largestMagnitude(query);
  // The sum of all products must stay within 32 bits.
  const limit = Math.min(QUERY_LIMIT, Math.floor(0x7fffffff / (CODE_LIMIT * stride)));
  const codes = new Int16Array(stride);
  for (let index = 0; index < query.length; index += 1) codes[index] = Math.round(((query[index] ?? 0) / peak) * limit);
  return { codes, scale: peak / limit };
}

function isUsable(peak: number): boolean {
  return Number.isFinite(peak) && peak > 0;
}

/** NaN when one component is NaN. */
function largestMagnitude(vector: Float32Array): number {
  let peak = 0;
  for (const component of vector) peak = Math.max(peak, Math.abs(component));
  return peak;
}

function moved<Numbers extends Int8Array | Float32Array | Uint32Array>(
  from: Numbers,
  to: Numbers,
  length: number,
): Numbers {
  to.set(from.subarray(0, length));
  return to;
}
