/** Longer words, and such of one or two letters, stay as they are. */
const SHORTEST = 3;
const LONGEST = 64;

/** Suffixes with what they become where the part before them has at least one syllable's worth (m > 0). */
const STEP_2: readonly (readonly [string, string])[] = [
  ['ational', 'ate'],
  ['tional', 'tion'],
  ['enci', 'ence'],
  ['anci', 'ance'],
  ['izer', 'ize'],
  ['logi', 'log'],
  ['bli', 'ble'],
  ['alli', 'al'],
  ['entli', 'ent'],
  ['eli', 'e'],
  ['ousli', 'ous'],
  ['ization', 'ize'],
  ['ation', 'ate'],
  ['ator', 'ate'],
  ['alism', 'al'],
  ['iveness', 'ive'],
  ['fulness', 'ful'],
  ['ousness', 'ous'],
  ['aliti', 'al'],
  ['iviti', 'ive'],
  ['biliti', 'ble'],
];
const STEP_3: readonly (readonly [string, string])[] = [
  ['icate', 'ic'],
  ['ative', ''],
  ['alize', 'al'],
  ['iciti', 'ic'],
  ['ical', 'ic'],
  ['ful', ''],
  ['ness', ''],
];
const STEP_4: readonly string[] = [
  ...[
    'al',
    'ance',
    'ence',
    'er',
    'ic',
    'able',
    'ible',
    'ant',
    'ement',
    'ment',
    'ent',
    'ion',
    'ou',
    'ism',
    'ate',
    'iti',
  ],
  ...['ous', 'ive', 'ize'],
];

/**
 * The stem of an English word in lower case (M. F. Porter, "An algorithm for suffix stripping", 1980), in the variant of
 * SQLite's `porter` tokenizer, so that both engines index the same words. Letters beyond a to z count as consonants.
 */
export function stemOf(word: string): string {
  const bytes = Buffer.byteLength(word);
  if (bytes < SHORTEST || bytes > LONGEST) return word;
  let stem = withoutPastAndGerund(withoutPlural(word));
  if (stem.endsWith('y') && hasVowel(stem.slice(0, -1))) stem = `${stem.slice(0, -1)}i`;
  stem = replaced(stem, STEP_2);
  stem = replaced(stem, STEP_3);
  stem = withoutLongSuffix(stem);
  return tidied(stem);
}

function withoutPlural(word: string): string {
  if (!word.endsWith('s')) return word;
  if (/.(?:sses|ies)$/.test(word)) return word.slice(0, -2);
  return word.endsWith('ss') ? word : word.slice(0, -1);
}

function withoutPastAndGerund(word: string): string {
  if (endsIn(word, 'eed')) return measure(word.slice(0, -3)) > 0 ? word.slice(0, -1) : word;
  const suffix = ['ed', 'ing'].find((each) => endsIn(word, each));
  if (suffix === undefined) return word;
  const stem = word.slice(0, -suffix.length);
  if (!hasVowel(stem)) return word;
  if (/(?:at|bl|iz)$/.test(stem)) return `${stem}e`;
  if (endsInDoubleConsonant(stem) && !/[lsz]$/.test(stem)) return stem.slice(0, -1);
  return measure(stem) === 1 && endsInShortSyllable(stem) ? `${stem}e` : stem;
}

function replaced(word: string, rules: readonly (readonly [string, string])[]): string {
  const rule = longest(
    rules.filter(([suffix]) => endsIn(word, suffix)),
    ([suffix]) => suffix.length,
  );
  if (rule === undefined) return word;
  const stem = word.slice(0, -rule[0].length);
  return measure(stem) > 0 ? stem + rule[1] : word;
}

function withoutLongSuffix(word: string): string {
  const suffix = longest(
    STEP_4.filter((each) => endsIn(word, each)),
    (each) => each.length,
  );
  if (suffix === undefined) return word;
  const stem = word.slice(0, -suffix.length);
  if (measure(stem) < 2 || (suffix === 'ion' && !/[st]$/.test(stem))) return word;
  return stem;
}

function tidied(word: string): string {
  let stem = word;
  if (stem.endsWith('e')) {
    const before = stem.slice(0, -1);
    const size = measure(before);
    if (size > 1 || (size === 1 && !endsInShortSyllable(before))) stem = before;
  }
  return stem.endsWith('ll') && measure(stem.slice(0, -1)) > 1 ? stem.slice(0, -1) : stem;
}

function longest<Item>(items: readonly Item[], lengthOf: (item: Item) => number): Item | undefined {
  return items.reduce<Item | undefined>(
    (best, item) => (best === undefined || lengthOf(item) > lengthOf(best) ? item : best),
    undefined,
  );
}

/** A word is never a suffix alone. */
function endsIn(word: string, suffix: string): boolean {
  return word.length > suffix.length && word.endsWith(suffix);
}

/** A `y` is a vowel after a consonant. */
function isVowel(word: string, at: number): boolean {
  const letter = word[at] ?? '';
  if ('aeiou'.includes(letter)) return letter !== '';
  return letter === 'y' && at > 0 && !isVowel(word, at - 1);
}

function hasVowel(word: string): boolean {
  for (let at = 0; at < word.length; at += 1) if (isVowel(word, at)) return true;
  return false;
}

/** How often a run of vowels is followed by one of consonants. */
function measure(word: string): number {
  let count = 0;
  let afterVowel = false;
  for (let at = 0; at < word.length; at += 1) {
    const vowel = isVowel(word, at);
    if (afterVowel && !vowel) count += 1;
    afterVowel = vowel;
  }
  return count;
}

function endsInDoubleConsonant(word: string): boolean {
  const last = word.length - 1;
  return last > 0 && word[last] === word[last - 1] && !isVowel(word, last);
}

/** Consonant, vowel, consonant, the last not w, x or y. */
function endsInShortSyllable(word: string): boolean {
  const last = word.length - 1;
  return (
    last > 1 && !isVowel(word, last) && isVowel(word, last - 1) && !isVowel(word, last - 2) && !/[wxy]$/.test(word)
  );
}
