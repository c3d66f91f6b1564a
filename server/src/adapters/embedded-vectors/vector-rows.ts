const SMALLEST_CAPACITY = 16;
const CODE_LIMIT = 127;
const QUERY_LIMIT = 2047;
/** Bytes a row holds beside its vectors: scale and owner. */
const ROW_OVERHEAD_BYTES = 8;

/** A query as the scan reads it: whole numbers, and the factor that turns their products back into cosines. */
export interface QuantizedQuery {
  readonly codes: Int32Array;
  readonly scale: number;
}

/**
 * Vectors of one length in dense arrays: int8 codes with a scale a row for scanning (symmetric scalar quantisation),
 * float32 for exact scores. Every row belongs to an owner (the number of a chunk). Rows that hold nothing usable (all
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
  /** Gives spare memory back. */
  compact(): void;
  /** Raises `best[owner]` to the approximate cosine of the owner's best row. */
  scan(query: QuantizedQuery, best: Float32Array): void;
  /** Exact cosine; null for a row that never matches. */
  exact(row: number, query: Float32Array): number | null;
}

/** An empty set of rows for vectors of the given length. */
export function createVectorRows(dimensions: number): VectorRows {
  const stride = Math.ceil(dimensions / 8) * 8;
  let capacity = 0;
  let count = 0;
  let codes = new Int8Array(0);
  let vectors = new Float32Array(0);
  let scales = new Float32Array(0);
  let owners = new Uint32Array(0);

  function resize(rows: number): void {
    capacity = rows;
    codes = moved(codes, new Int8Array(rows * stride), count * stride);
    vectors = moved(vectors, new Float32Array(rows * dimensions), count * dimensions);
    scales = moved(scales, new Float32Array(rows), count);
    owners = moved(owners, new Uint32Array(rows), count);
  }

  function write(row: number, vector: Float32Array): void {
    const peak = largestMagnitude(vector);
    const usable = Number.isFinite(peak) && peak > 0;
    scales[row] = usable ? peak / CODE_LIMIT : 0;
    for (let index = 0; index < dimensions; index += 1) {
      const component = usable ? (vector[index] ?? 0) : 0;
      vectors[row * dimensions + index] = component;
      codes[row * stride + index] = usable ? Math.round((component / peak) * CODE_LIMIT) : 0;
    }
  }

  return {
    dimensions,
    get count() {
      return count;
    },
    get bytes() {
      return capacity * (stride + dimensions * Float32Array.BYTES_PER_ELEMENT + ROW_OVERHEAD_BYTES);
    },
    append(vector, owner) {
      if (count === capacity) resize(Math.max(SMALLEST_CAPACITY, Math.ceil(capacity * 1.5)));
      const row = count;
      count += 1;
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
      if (row === count) return null;
      codes.copyWithin(row * stride, count * stride, (count + 1) * stride);
      vectors.copyWithin(row * dimensions, count * dimensions, (count + 1) * dimensions);
      scales[row] = scales[count] ?? 0;
      const owner = owners[count] ?? 0;
      owners[row] = owner;
      return owner;
    },
    compact() {
      if (count < capacity) resize(count);
    },
    scan(query, best) {
      for (let row = 0; row < count; row += 1) {
        const scale = scales[row] ?? 0;
        if (scale === 0) continue;
        const score = dotCodes(codes, row * stride, query.codes) * scale * query.scale;
        const owner = owners[row] ?? 0;
        if (score > (best[owner] ?? 0)) best[owner] = score;
      }
    },
    exact(row, query) {
      if (scales[row] === 0) return null;
      return Math.max(-1, Math.min(1, dot(vectors, row * dimensions, query)));
    },
  };
}

/** Null for a query that can match nothing: all zero, or with a component that is not finite. */
export function quantizeQuery(vector: Float32Array): QuantizedQuery | null {
  const peak = largestMagnitude(vector);
  if (!Number.isFinite(peak) || peak === 0) return null;
  // The sum of all products must stay within 32 bits.
  const limit = Math.min(QUERY_LIMIT, Math.floor(0x7fffffff / (CODE_LIMIT * vector.length)));
  const codes = new Int32Array(Math.ceil(vector.length / 8) * 8);
  for (let index = 0; index < vector.length; index += 1) codes[index] = Math.round(((vector[index] ?? 0) / peak) * limit);
  return { codes, scale: peak / limit };
}

function moved<Numbers extends Int8Array | Float32Array | Uint32Array>(from: Numbers, to: Numbers, length: number): Numbers {
  to.set(from.subarray(0, length));
  return to;
}

/** NaN and infinity win, so that one bad component is seen. */
function largestMagnitude(vector: Float32Array): number {
  let peak = 0;
  for (const component of vector) {
    const magnitude = Math.abs(component);
    if (!(magnitude <= peak)) peak = magnitude;
    if (Number.isNaN(peak)) return peak;
  }
  return peak;
}
