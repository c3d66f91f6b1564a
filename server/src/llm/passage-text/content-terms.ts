/** Not the list of the lexical index, whose tokenizer cuts contractions into pieces (`don`, `t`) that stay whole here. */
const STOP_WORDS: ReadonlySet<string> = new Set(
  (
    'a about above after again against all also am an and any are as at be because been before being below between both ' +
    'but by can cannot could did do does doing done during each either else ever every few for from further get ' +
    'gets getting give given go goes going got had has have having he her here hers herself him himself his how i if in ' +
    'into is it its itself just let lets like may me might mine more most much must my myself no nor not now of on ' +
    'once only onto or other our ours own per please same shall she should so some such tell than that the ' +
    'their theirs them then there these they this those through to too under until upon us very want was we were ' +
    'what whatever when where whether which while who whom whose why will with within without would yes yet you your ' +
    'yours yourself im ive id ill dont doesnt didnt cant couldnt wont wouldnt isnt arent wasnt werent hasnt havent ' +
    'shouldnt whats whos wheres theres thats youre youve theyre'
  ).split(' '),
);

const WORD = /[\p{L}\p{N}\p{M}]+(?:['’][\p{L}]+)?/gu;
/** Scripts written without spaces: their words are unknown here, so pairs of characters stand in for them. */
const UNSPACED = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}]/u;

/** Longest first within each group; each stem keeps at least the given number of letters. */
const SUFFIXES: readonly (readonly [suffix: string, keep: number, replacement: string])[] = [
  ['ibilities', 4, ''],
  ['abilities', 4, ''],
  ['ibility', 4, ''],
  ['ability', 4, ''],
  ['izations', 3, ''],
  ['ization', 3, ''],
  ['isation', 3, ''],
  ['ications', 3, 'i'],
  ['ication', 3, 'i'],
  ['ements', 4, ''],
  ['ement', 4, ''],
  ['ations', 3, ''],
  ['ation', 3, ''],
  ['ments', 4, ''],
  ['ment', 4, ''],
  ['ances', 4, ''],
  ['ences', 4, ''],
  ['ance', 4, ''],
  ['ence', 4, ''],
  ['iness', 3, 'i'],
  ['ness', 3, ''],
  ['ities', 4, ''],
  ['ity', 4, ''],
  ['able', 4, ''],
  ['ible', 4, ''],
  ['ings', 3, ''],
  ['ing', 3, ''],
  ['ions', 4, ''],
  ['ion', 4, ''],
  ['ally', 4, ''],
  ['ies', 2, 'i'],
  ['ied', 2, 'i'],
  ['eed', 2, 'ee'],
  ['ers', 4, ''],
  ['ive', 4, ''],
  ['ful', 3, ''],
  ['ed', 3, ''],
  ['er', 4, ''],
  ['ly', 4, ''],
  ['al', 4, ''],
  ['es', 3, 'e'],
];

/**
 * The words of a text that carry its content, in order, with repeats: lower case, marks folded, stop words left out,
 * stemmed. For text in scripts without spaces, overlapping pairs of characters.
 */
export function contentTerms(text: string): string[] {
  return allTerms(text)
    .filter((term) => !STOP_WORDS.has(term))
    .map(stemOf);
}

/** Like `contentTerms`, but a text of stop words alone keeps them: "who are you" still has terms. */
export function questionTerms(text: string): string[] {
  const terms = contentTerms(text);
  return terms.length > 0 ? terms : allTerms(text).map(stemOf);
}

function allTerms(text: string): string[] {
  const terms: string[] = [];
  for (const [word] of text.normalize('NFKD').toLowerCase().matchAll(WORD)) {
    const plain = word
      .replace(/\p{M}/gu, '')
      .replace(/['’]s?$/u, '')
      .replace(/['’]s$|['’]/gu, '');
    if (UNSPACED.test(plain)) terms.push(...characterPairs(plain));
    else if (plain !== '') terms.push(plain);
  }
  return terms;
}

function characterPairs(run: string): string[] {
  const characters = [...run];
  if (characters.length < 2) return characters;
  return characters.slice(1).map((character, position) => `${characters[position]}${character}`);
}

/** A light English stemmer in the manner of Porter's (1980): one suffix, the plural, a final e or y, doubled consonants. */
function stemOf(word: string): string {
  if (word.length < 4 || !/^[a-z]+$/u.test(word)) return word;
  return withoutEnding(withoutSuffix(withoutPlural(word)));
}

function withoutPlural(word: string): string {
  if (/(?:ss|us|is)$/u.test(word)) return word;
  if (/(?:sses|shes|ches|xes|zzes)$/u.test(word)) return word.slice(0, -2);
  if (word.endsWith('ies') && word.length > 4) return `${word.slice(0, -3)}y`;
  return word.endsWith('s') ? word.slice(0, -1) : word;
}

function withoutSuffix(word: string): string {
  for (const [suffix, keep, replacement] of SUFFIXES) {
    const kept = word.length - suffix.length;
    if (kept >= keep && word.endsWith(suffix)) return word.slice(0, kept) + replacement;
  }
  return word;
}

function withoutEnding(word: string): string {
  if (word.length > 4 && /([^aeiouls])\1$/u.test(word)) return word.slice(0, -1);
  if (word.length > 3 && word.endsWith('e')) return word.slice(0, -1);
  return word.length > 2 && word.endsWith('y') ? `${word.slice(0, -1)}i` : word;
}
