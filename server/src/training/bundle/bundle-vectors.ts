import { endianness } from 'node:os';

/** How far from 1 the length of a stored vector may be. */
const LENGTH_TOLERANCE = 0.01;
const BYTES_A_NUMBER = Float32Array.BYTES_PER_ELEMENT;

/** The windows of a chunk as base64 of little-endian float32 numbers. */
export function packVectors(windows: readonly Float32Array[]): string {
  const bytes = Buffer.concat(
    windows.map(({ buffer, byteOffset, byteLength }) => Buffer.from(buffer, byteOffset, byteLength)),
  );
  return toLittleEndian(bytes).toString('base64');
}

/** The windows again, or null when they are no vectors of these dimensions and of length 1 (or 0). They share one buffer. */
export function unpackVectors(packed: string, dimensions: number): readonly Float32Array[] | null {
  const bytes = toLittleEndian(Buffer.from(packed, 'base64'));
  const size = dimensions * BYTES_A_NUMBER;
  if (bytes.length % size !== 0) return null;
  // Small buffers are parts of a larger one, in which floats need not begin at a multiple of four.
  const numbers = new Float32Array(Uint8Array.from(bytes).buffer);
  const windows = Array.from({ length: bytes.length / size }, (_, window) =>
    numbers.subarray(window * dimensions, (window + 1) * dimensions),
  );
  return windows.every(isSound) ? windows : null;
}

/** From this machine's order of bytes, or back to it, in place. */
function toLittleEndian(bytes: Buffer): Buffer {
  return endianness() === 'LE' ? bytes : bytes.swap32();
}

function isSound(vector: Float32Array): boolean {
  let sum = 0;
  for (const value of vector) sum += value * value;
  return sum === 0 || Math.abs(Math.sqrt(sum) - 1) <= LENGTH_TOLERANCE;
}
