import { contentTerms } from '../../llm/index.ts';

const IN_BRACKETS = /\((\p{Lu}[\p{Lu}\d]{1,6})s?\)/gu;
const SMALL_WORDS = /^(?:of|and|the|for|to|in|on|a|an)$/iu;

/**
 * Acronyms that a text introduces in brackets behind their long form ("paid parental leave (PPL)"), each with the terms
 * it stands for (Schwartz and Hearst 2003, on initial letters alone). Keys are terms.
 */
export function readAcronyms(text: string): ReadonlyMap<string, readonly string[]> {
  const acronyms = new Map<string, readonly string[]>();
  for (const match of text.matchAll(IN_BRACKETS)) {
    const acronym = match[1] ?? '';
    const words = text.slice(Math.max(0, match.index - 120), match.index).match(/[\p{L}\p{N}]+/gu) ?? [];
    const longForm = longFormOf(acronym, words);
    const [key] = contentTerms(acronym);
    if (longForm !== null && key !== undefined) acronyms.set(key, contentTerms(longForm));
  }
  return acronyms;
}

/** The last words whose initials spell the acronym; small words may be skipped. */
function longFormOf(acronym: string, words: readonly string[]): string | null {
  let letter = acronym.length - 1;
  let from = words.length;
  while (letter >= 0 && from > 0) {
    from -= 1;
    const word = words[from] ?? '';
    if (word.charAt(0).toUpperCase() === acronym[letter]) letter -= 1;
    else if (!SMALL_WORDS.test(word)) return null;
  }
  return letter < 0 ? words.slice(from).join(' ') : null;
}
