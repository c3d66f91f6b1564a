/** Values of a signature, 16 bits each. */
export const SIGNATURE_VALUES = 128;

const WORDS_A_SHINGLE = 5;
/** Texts that agree in so many words are as good as equal, and signing stays quick. */
const MOST_WORDS = 200_000;
/** A character of a script without spaces counts as a word. */
const WORD =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]|[^\P{L}\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]+|\p{N}+/gu;

const [FACTORS, SUMMANDS] = [oddNumbers(0x9e3779b9), oddNumbers(0x7f4a7c15)];

/**
 * A MinHash signature (Broder, 1997) over shingles of five words, of which the low 16 bits are kept (Li and König, 2010):
 * the share of equal values of two signatures estimates how many of their shingles two texts have in common.
 */
export function signatureOf(text: string): Uint8Array {
  const minima = new Uint32Array(SIGNATURE_VALUES).fill(0xffffffff);
  for (const shingle of shinglesOf(text)) {
    for (let value = 0; value < SIGNATURE_VALUES; value += 1) {
      const hash = (Math.imul(shingle, FACTORS[value] ?? 1) + (SUMMANDS[value] ?? 0)) >>> 0;
      if (hash < (minima[value] ?? 0)) minima[value] = hash;
    }
  }
  const signature = new Uint8Array(SIGNATURE_VALUES * 2);
  const view = new DataView(signature.buffer);
  // The smallest numbers of a sequence differ in all of their bits once they are mixed.
  for (const [position, minimum] of minima.entries()) view.setUint16(position * 2, mixed(minimum) & 0xffff, true);
  return signature;
}

function* shinglesOf(text: string): Generator<number> {
  const last: number[] = [];
  let words = 0;
  for (const [word] of text.toLowerCase().matchAll(WORD)) {
    last.push(hashOf(word));
    words += 1;
    if (last.length < WORDS_A_SHINGLE) continue;
    yield joined(last);
    last.shift();
    if (words >= MOST_WORDS) return;
  }
  if (words > 0 && words < WORDS_A_SHINGLE) yield joined(last);
}

function joined(hashes: readonly number[]): number {
  return hashes.reduce((sum, hash) => mixed(Math.imul(sum, 31) + hash), 0);
}

/** FNV-1a. */
function hashOf(word: string): number {
  let hash = 0x811c9dc5;
  for (let position = 0; position < word.length; position += 1) {
    hash = Math.imul(hash ^ word.charCodeAt(position), 0x01000193);
  }
  return hash >>> 0;
}

/** The finalizer of MurmurHash3. */
function mixed(value: number): number {
  let mixing = value;
  mixing = Math.imul(mixing ^ (mixing >>> 16), 0x85ebca6b);
  mixing = Math.imul(mixing ^ (mixing >>> 13), 0xc2b2ae35);
  return (mixing ^ (mixing >>> 16)) >>> 0;
}

function oddNumbers(seed: number): readonly number[] {
  return Array.from({ length: SIGNATURE_VALUES }, (_, position) => mixed(seed + Math.imul(position, 0x9e3779b1)) | 1);
}
