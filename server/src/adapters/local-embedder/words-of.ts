const RUN = /[\p{L}\p{M}\p{N}]+(?:['’][\p{L}\p{M}]+)*/gu;
const LETTERS = /[\p{L}\p{M}]+(?:['’][\p{L}\p{M}]+)*/gu;
const CASE_PARTS = /\p{N}+|\p{Lu}+(?!\p{Ll})|\p{Lu}?[\p{Ll}\p{M}]+|[\p{L}\p{M}]+/gu;
const CASE_BOUNDARY = /['’]|(?<=\p{Ll})(?=\p{Lu})/u;
const CONTRACTION = new Set(['s', 't', 've', 'll', 're', 'd', 'm']);
const LONGEST_WORD = 30;

/**
 * The words of a text in lower case, in order. Numbers, punctuation and underscores separate words and are left out.
 * A run of letters that is no known word is cut at apostrophes and camelCase borders (`getUserId`: get, user, id).
 * Identifiers that only look like words (hex, base64, long letter runs) are left out whole.
 */
export function wordsOf(text: string, isKnown: (word: string) => boolean): string[] {
  const words: string[] = [];
  for (const run of text.match(RUN) ?? []) {
    const whole = run.toLowerCase();
    if (isKnown(whole)) words.push(whole);
    else if (!looksRandom(run)) for (const letters of run.match(LETTERS) ?? []) pushWord(words, letters, isKnown);
  }
  return words;
}

function pushWord(words: string[], letters: string, isKnown: (word: string) => boolean): void {
  const whole = letters.toLowerCase();
  if (isKnown(whole)) {
    words.push(whole);
    return;
  }
  for (const part of letters.split(CASE_BOUNDARY)) {
    const word = part.toLowerCase();
    if (word.length > 0 && word.length <= LONGEST_WORD && !CONTRACTION.has(word)) words.push(word);
  }
}

/** Words and names change between letters, digits and cases seldom; random identifiers all the time. */
function looksRandom(run: string): boolean {
  if (run.length < 4) return false;
  const parts = run.match(CASE_PARTS)?.length ?? 1;
  return parts > 3 && run.length / parts < 3;
}

/**
 * Whether a model should be asked what this unknown word means: Latin letters that could be read aloud, or an
 * acronym. Keeps a flood of random letters away from the model, which costs milliseconds a word.
 */
export function isTeachable(word: string): boolean {
  if (!/^[\p{Script=Latin}\p{M}]{2,30}$/u.test(word)) return false;
  if (word.length <= 5) return true;
  return /[aeiouy\u00c0-\u024f]/u.test(word) && !/[bcdfghjklmnpqrstvwxz]{6}|(.)\1\1/u.test(word);
}
