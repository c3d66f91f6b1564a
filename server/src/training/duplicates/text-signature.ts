/** Values of a signature, 16 bits each. */
export const SIGNATURE_VALUES = 128;

const WORDS_A_SHINGLE = 5;
/** Texts that agree in so many words are as good as equal, and signing stays quick. */
const MOST_WORDS = 200_000;
/** A character of a script without spaces counts as a word. */
const WORD =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]|[^\P{L}\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]+|\p{N}+/gu;

const [FACTORS, SUMMANDS] = [oddNumbers(0x9e3779b9), oddNumbers(0x7f4a7c15)];
/** What the quick way through a text does not know. */
const OTHER_LETTER = /[^\P{L}a-z]|[^\P{N}0-9]/u;
const [NO_WORD, OF_LETTERS, OF_DIGITS] = [0, 1, 2];
const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;

/**
 * A MinHash signature (Broder, 1997) over shingles of five words, of which the low 16 bits are kept (Li and König, 2010):
 * the share of equal values of two signatures estimates how many of their shingles two texts have in common.
 */
export function signatureOf(text: string): Uint8Array {
  const minima = new Uint32Array(SIGNATURE_VALUES).fill(0xffffffff);
  const words = wordHashes(text.toLowerCase());
  const shingles = words.length === 0 ? 0 : Math.max(1, words.length - WORDS_A_SHINGLE + 1);
  for (let start = 0; start < shingles; start += 1) {
    lower(minima, joined(words, start, Math.min(words.length, start + WORDS_A_SHINGLE)));
  }
  const signature = new Uint8Array(SIGNATURE_VALUES * 2);
  const view = new DataView(signature.buffer);
  // The smallest numbers of a sequence differ in all of their bits once they are mixed.
  for (const [position, minimum] of minima.entries()) view.setUint16(position * 2, mixed(minimum) & 0xffff, true);
  return signature;
}

/** Takes the values of one more shingle into account. Most of the time goes here: nothing is allocated, indexes are in range. */
function lower(minima: Uint32Array, shingle: number): void {
  for (let value = 0; value < SIGNATURE_VALUES; value += 1) {
    const hash = (Math.imul(shingle, FACTORS[value] as number) + (SUMMANDS[value] as number)) >>> 0;
    if (hash < (minima[value] as number)) minima[value] = hash;
  }
}

/** FNV-1a of each word. */
function wordHashes(text: string): readonly number[] {
  return isPlain(text) ? plainWordHashes(text) : anyWordHashes(text);
}

function isPlain(text: string): boolean {
  return !OTHER_LETTER.test(text);
}

function anyWordHashes(text: string): readonly number[] {
  const hashes: number[] = [];
  for (const [word] of text.matchAll(WORD)) {
    let hash = FNV_OFFSET;
    for (let position = 0; position < word.length; position += 1) {
      hash = Math.imul(hash ^ word.charCodeAt(position), FNV_PRIME);
    }
    hashes.push(hash >>> 0);
    if (hashes.length >= MOST_WORDS) break;
  }
  return hashes;
}

/** The same for lower-case text without letters and digits outside of ASCII, several times as fast. */
function plainWordHashes(text: string): readonly number[] {
  const hashes: number[] = [];
  let hash = FNV_OFFSET;
  let kind = NO_WORD;
  for (let position = 0; position <= text.length; position += 1) {
    const code = position < text.length ? text.charCodeAt(position) : 0;
    const next = kindOf(code);
    if (next !== kind) {
      if (kind !== NO_WORD) hashes.push(hash >>> 0);
      if (hashes.length >= MOST_WORDS) break;
      hash = FNV_OFFSET;
      kind = next;
    }
    if (kind !== NO_WORD) hash = Math.imul(hash ^ code, FNV_PRIME);
  }
  return hashes;
}

function kindOf(code: number): number {
  if (code >= 0x61 && code <= 0x7a) return OF_LETTERS;
  return code >= 0x30 && code <= 0x39 ? OF_DIGITS : NO_WORD;
}

function joined(hashes: readonly number[], start: number, end: number): number {
  let sum = 0;
  for (let position = start; position < end; position += 1) {
    sum = mixed(Math.imul(sum, 31) + (hashes[position] as number));
  }
  return sum;
}

/** The finalizer of MurmurHash3. */
function mixed(value: number): number {
  let mixing = value;
  mixing = Math.imul(mixing ^ (mixing >>> 16), 0x85ebca6b);
  mixing = Math.imul(mixing ^ (mixing >>> 13), 0xc2b2ae35);
  return (mixing ^ (mixing >>> 16)) >>> 0;
}

function oddNumbers(seed: number): Uint32Array {
  return Uint32Array.from(
    { length: SIGNATURE_VALUES },
    (_, position) => mixed(seed + Math.imul(position, 0x9e3779b1)) | 1,
  );
}
