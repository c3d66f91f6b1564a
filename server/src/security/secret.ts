import { createHmac, timingSafeEqual } from 'node:crypto';

/** Random bytes from a source that cannot be guessed (`crypto.randomBytes`). */
export type RandomBytes = (size: number) => Uint8Array;

export type KeySecretKind = 'live' | 'pub';

const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const RANDOM_CHARACTERS = 32;
const CHECKSUM_CHARACTERS = 6;
const SHAPE = /^cs_(?:live|pub)_[0-9A-Za-z]{38}$/;
/** The largest multiple of 62 in a byte: bytes from here on would favour the first characters. */
const UNBIASED_BYTES = 248;

/**
 * A new key: `cs_live_` or `cs_pub_`, 32 random base62 characters (190 bits), and 6 of CRC-32 over what precedes, so
 * that a mistyped key is told from a real one without a look-up. No character ends a double-click selection.
 */
export function createKeySecret(kind: KeySecretKind, random: RandomBytes): string {
  const body = `cs_${kind}_${randomBase62(RANDOM_CHARACTERS, random)}`;
  return body + checksumOf(body);
}

/** Whether the text has the shape and checksum of a key. Says nothing about whether such a key exists. */
export function isKeySecret(text: string): boolean {
  if (!SHAPE.test(text)) return false;
  const body = text.slice(0, -CHECKSUM_CHARACTERS);
  return checksumOf(body) === text.slice(-CHECKSUM_CHARACTERS);
}

/** HMAC-SHA-256 of a secret under the server's pepper, hex: what is stored in the secret's place. */
export function hashSecret(pepper: string | Uint8Array, secret: string): string {
  return createHmac('sha256', pepper).update(secret, 'utf8').digest('hex');
}

/** Compares two hex hashes in a time that does not depend on where they differ. */
export function sameHash(left: string, right: string): boolean {
  const a = Buffer.from(left, 'hex');
  const b = Buffer.from(right, 'hex');
  return a.length === b.length && a.length > 0 && timingSafeEqual(a, b);
}

/** The first twelve and last four characters, to recognise a key by. */
export function hintOf(secret: string): string {
  return `${secret.slice(0, 12)}...${secret.slice(-4)}`;
}

function randomBase62(length: number, random: RandomBytes): string {
  let text = '';
  while (text.length < length) {
    for (const byte of random(length)) {
      if (byte < UNBIASED_BYTES && text.length < length) text += BASE62.charAt(byte % 62);
    }
  }
  return text;
}

function checksumOf(text: string): string {
  let rest = crc32(Buffer.from(text, 'utf8'));
  let digits = '';
  for (let position = 0; position < CHECKSUM_CHARACTERS; position += 1) {
    digits = BASE62.charAt(rest % 62) + digits;
    rest = Math.floor(rest / 62);
  }
  return digits;
}

/** CRC-32 (IEEE 802.3, reflected). Bit by bit: keys are short, and node:zlib has it only from 20.15 on. */
function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return (crc ^ 0xffffffff) >>> 0;
}
