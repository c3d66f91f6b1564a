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
