import { AppError } from '../../kernel/index.ts';
import type { MarkerFilter } from './marker-filter.ts';

/** In characters: what is shorter may stand at both sides of a seam without being repeated. */
const REAL_OVERLAP = 16;
/** Different letters of a real overlap: rules of tables and runs of digits repeat by themselves. */
const REAL_LETTERS = 8;
/** In characters. Whoever begins like the told text for so long, and goes on otherwise, begins anew. */
const BEGINS_ANEW = 48;

const LAST_WORD = /[\p{L}\p{N}]+$/u;
const FIRST_WORD = /^[\p{L}\p{N}]+/u;
const ONLY_DIGITS = /^\p{N}+$/u;
const ENDS_CLAUSE = /[.,;:!?)\]]$/u;
/** Within addresses and code nothing is put between. */
const UNSPACED_RUN = /[/@`]\S*$/u;
const UNSPACED_SCRIPTS =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]/u;

/**
 * What a model says behind a told text, joined to it: without the told text, or the end of it (at least 16 characters of 8
 * different letters), or a word of it that was cut off, where the model begins with that; with a space between words that
 * it left out. `knows` says whether a word in small letters is one that the answer speaks of. Throws
 * `stream_interrupted` when the model begins the answer anew in other words.
 */
export function createSeam(told: string, knows: (word: string) => boolean): MarkerFilter {
  let begun = '';
  let isDecided = told === '';
  return {
    push(delta) {
      if (isDecided) return delta;
      begun += delta;
      if (mayBeRepeated(told, begun)) return '';
      isDecided = true;
      return joined(told, begun, knows);
    },
    flush() {
      if (isDecided) return '';
      isDecided = true;
      return joined(told, begun, knows);
    },
  };
}

/** The rest of a text that is made once more: it throws `stream_interrupted` unless that begins with the told text. */
export function createRest(told: string): MarkerFilter {
  let left = told;
  return {
    push(delta) {
      const text = left === told ? delta.trimStart() : delta;
      const common = Math.min(text.length, left.length);
      if (text.slice(0, common) !== left.slice(0, common)) throw notTheSame();
      left = left.slice(common);
      return text.slice(common);
    },
    flush() {
      if (left !== '') throw notTheSame();
      return '';
    },
  };
}

/** Whether more of the text has to be known. */
function mayBeRepeated(told: string, begun: string): boolean {
  const text = begun.trimStart();
  if (text.startsWith(told)) return false;
  if (text === '' || told.includes(text)) return true;
  return LAST_WORD.test(told) && FIRST_WORD.exec(text)?.[0] === text;
}

function joined(told: string, begun: string, knows: (word: string) => boolean): string {
  const text = begun.trimStart();
  if (text.startsWith(told)) return text.slice(told.length);
  const overlap = overlapOf(told, text);
  if (overlap > 0) return text.slice(overlap);
  if (commonStart(told, text) >= BEGINS_ANEW) throw notTheSame();
  const tail = LAST_WORD.exec(told)?.[0] ?? '';
  const head = FIRST_WORD.exec(text)?.[0] ?? '';
  if (isWrittenOnceMore(tail, head, knows)) return text.slice(tail.length);
  if (begun !== text) return /\s$/u.test(told) ? text : begun;
  return (lacksSpace(told, { tail, head }, knows) ? ' ' : '') + text;
}

/** Of numbers also one that was not cut off: put together, the two would be another. */
function isWrittenOnceMore(tail: string, head: string, knows: (word: string) => boolean): boolean {
  if (tail === '' || !head.startsWith(tail)) return false;
  return ONLY_DIGITS.test(tail) || (head.length > tail.length && !knows(tail.toLowerCase()));
}

/** The longest end of the told text that the other begins with; 0: none that is long enough. */
function overlapOf(told: string, text: string): number {
  for (let length = Math.min(told.length, text.length); length >= REAL_OVERLAP; length -= 1) {
    const repeated = text.slice(0, length);
    if (!told.endsWith(repeated)) continue;
    return new Set(repeated.match(/\p{L}/gu)).size >= REAL_LETTERS ? length : 0;
  }
  return 0;
}

function commonStart(one: string, other: string): number {
  let length = 0;
  while (length < one.length && length < other.length && one[length] === other[length]) length += 1;
  return length;
}

function lacksSpace(
  told: string,
  { tail, head }: { readonly tail: string; readonly head: string },
  knows: (word: string) => boolean,
): boolean {
  if (head === '' || UNSPACED_RUN.test(told) || UNSPACED_SCRIPTS.test(told.slice(-1) + head.slice(0, 1))) return false;
  if (tail === '') return ENDS_CLAUSE.test(told) && !ONLY_DIGITS.test(head);
  if (ONLY_DIGITS.test(tail) && ONLY_DIGITS.test(head)) return false;
  return !knows((tail + head).toLowerCase());
}

function notTheSame(): AppError {
  return new AppError('stream_interrupted', 'The answer broke off, and cannot be gone on with. Ask again.', {
    retryable: true,
  });
}
