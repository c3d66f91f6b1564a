/** The windows of a chunk one after the other, as the bytes of 32-bit floats in this machine's order. */
export function packWindows(windows: readonly Float32Array[]): Uint8Array {
  const packed = new Float32Array(windows.reduce((length, window) => length + window.length, 0));
  let offset = 0;
  for (const window of windows) {
    packed.set(window, offset);
    offset += window.length;
  }
  return new Uint8Array(packed.buffer);
}

/** The reverse of `packWindows`; windows share one buffer. */
export function unpackWindows(bytes: Uint8Array, count: number): readonly Float32Array[] {
  // Floats must start at a multiple of four bytes; a view that does not is copied.
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice();
  const floats = new Float32Array(aligned.buffer, aligned.byteOffset, aligned.byteLength / 4);
  const dimensions = count === 0 ? 0 : floats.length / count;
  return Array.from({ length: count }, (_, window) => floats.subarray(window * dimensions, (window + 1) * dimensions));
}
