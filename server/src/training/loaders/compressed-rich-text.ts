const HEADER_BYTES = 16;
const COMPRESSED = 0x75465a4c;
const WINDOW = 4_096;
/** Text that every writer has in its window at first ([MS-OXRTFCP] 2.1.3.1.5). */
const PRELOADED =
  '{\\rtf1\\ansi\\mac\\deff0\\deftab720{\\fonttbl;}{\\f0\\fnil \\froman \\fswiss \\fmodern \\fscript \\fdecor MS Sans SerifSymbolArialTimes New RomanCourier{\\colortbl\\red0\\green0\\blue0\r\n\\par \\pard\\plain\\f0\\fs20\\b\\i\\u\\tab\\tx';

/**
 * Unpacks the Rich Text Format of an Outlook message ([MS-OXRTFCP]): a sliding window of 4,096 bytes. What is broken ends
 * where it breaks; the result is at most `limit` bytes.
 */
export function unpackRichText(bytes: Uint8Array, limit: number): Buffer {
  const packed = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (packed.length < HEADER_BYTES) return Buffer.alloc(0);
  if (packed.readUInt32LE(8) !== COMPRESSED) return packed.subarray(HEADER_BYTES);
  const window = Buffer.alloc(WINDOW);
  let write = window.write(PRELOADED, 'latin1');
  const unpacked: number[] = [];
  const put = (byte: number): void => {
    window[write] = byte;
    write = (write + 1) % WINDOW;
    unpacked.push(byte);
  };
  let read = HEADER_BYTES;
  while (read < packed.length && unpacked.length < limit) {
    const flags = packed[read] ?? 0;
    read += 1;
    for (let bit = 0; bit < 8 && read < packed.length; bit += 1) {
      if ((flags & (1 << bit)) === 0) {
        put(packed[read] ?? 0);
        read += 1;
        continue;
      }
      const reference = ((packed[read] ?? 0) << 8) | (packed[read + 1] ?? 0);
      read += 2;
      const offset = reference >> 4;
      if (offset === write) return Buffer.from(unpacked);
      for (let copied = 0; copied < (reference & 15) + 2; copied += 1) put(window[(offset + copied) % WINDOW] ?? 0);
    }
  }
  return Buffer.from(unpacked);
}
