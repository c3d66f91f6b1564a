/** How far from 1 the length of a stored vector may be. */
const LENGTH_TOLERANCE = 0.01;

/** The windows of a chunk as base64 of little-endian float32 numbers. */
export function packVectors(windows: readonly Float32Array[]): string {
  const dimensions = windows[0]?.length ?? 0;
  const bytes = Buffer.alloc(windows.length * dimensions * 4);
  for (const [window, vector] of windows.entries()) {
    for (const [position, value] of vector.entries()) bytes.writeFloatLE(value, (window * dimensions + position) * 4);
  }
  return bytes.toString('base64');
}

/** The windows again, or null when they are no vectors of these dimensions and of length 1 (or 0). */
export function unpackVectors(packed: string, dimensions: number): readonly Float32Array[] | null {
  const bytes = Buffer.from(packed, 'base64');
  if (bytes.length % (dimensions * 4) !== 0) return null;
  const windows = Array.from({ length: bytes.length / (dimensions * 4) }, (_, window) =>
    Float32Array.from({ length: dimensions }, (__, position) =>
      bytes.readFloatLE((window * dimensions + position) * 4),
    ),
  );
  return windows.every(isSound) ? windows : null;
}

function isSound(vector: Float32Array): boolean {
  let sum = 0;
  for (const value of vector) sum += value * value;
  return sum === 0 || Math.abs(Math.sqrt(sum) - 1) <= LENGTH_TOLERANCE;
}
