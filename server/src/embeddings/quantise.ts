/** The vector at length 1; a vector of zeros stays as it is. Returns the same array when nothing needs to change. */
export function normalise(vector: Float32Array): Float32Array {
  const length = Math.sqrt(dot(vector, vector));
  if (length === 0 || Math.abs(length - 1) < 1e-6) return vector;
  const unit = new Float32Array(vector.length);
  for (let d = 0; d < vector.length; d += 1) unit[d] = (vector[d] as number) / length;
  return unit;
}

/** The dot product of two vectors of one width: the cosine, for vectors of length 1. */
export function dot(left: Float32Array, right: Float32Array): number {
  let sum = 0;
  for (let d = 0; d < left.length; d += 1) sum += (left[d] as number) * (right[d] as number);
  return sum;
}

/** A vector in a quarter of its bytes: component d is `codes[d] * scale`. */
export interface QuantisedVector {
  readonly codes: Int8Array;
  readonly scale: number;
}

/** Rounds each component to one of 255 steps, the largest of them being 127. The error is at most half a step. */
export function quantise(vector: Float32Array): QuantisedVector {
  let largest = 0;
  for (const value of vector) largest = Math.max(largest, Math.abs(value));
  const scale = largest / 127;
  if (scale === 0) return { codes: new Int8Array(vector.length), scale: 0 };
  return { codes: Int8Array.from(vector, (value) => Math.round(value / scale)), scale };
}

/** The dot product of two quantised vectors, summed in integers. */
export function dotQuantised(left: QuantisedVector, right: QuantisedVector): number {
  let sum = 0;
  for (let d = 0; d < left.codes.length; d += 1) sum += (left.codes[d] ?? 0) * (right.codes[d] ?? 0);
  return sum * left.scale * right.scale;
}
