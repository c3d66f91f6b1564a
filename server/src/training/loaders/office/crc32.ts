const POLYNOMIAL = 0xed_b8_83_20;

/** A CRC-32 (ISO 3309, as ZIP has it) over bytes that come in pieces. */
export function createCrc32(): { add(piece: Uint8Array): void; value(): number } {
  let crc = -1;
  return {
    add(piece) {
      for (const byte of piece) crc = (TABLE[(crc ^ byte) & 0xff] ?? 0) ^ (crc >>> 8);
    },
    value: () => ~crc >>> 0,
  };
}

const TABLE = Int32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
  return crc;
});
