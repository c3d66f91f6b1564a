const MAX_TERMS = 64;

/** English words that say nothing of what a question is about. */
const STOP_WORDS: ReadonlySet<string> = new Set(
  (
    'a about above after again against all also am among an and any are aren as at be because been before being below ' +
    'between both but by can cannot could couldn d did didn do does doesn doing don done down during each either else ' +
    'etc ever every few for from further get gets getting give given gives got had hadn has hasn have haven having he ' +
    'her here hers herself hi him himself his how however i if in instead into is isn it its itself just let ll m many ' +
    'may me might more most much must my myself no nor not now o of off on once only onto or other others ought our ' +
    'ours ourselves out over own per please quite rather re really s same shall she should shouldn so some such t than ' +
    'thank thanks that the their theirs them themselves then there these they this those though through thus to too ' +
    'toward towards under until up upon us ve very via was wasn we were weren what whatever when where whether which ' +
    'while who whom whose why will with within without won would wouldn yes yet you your yours yourself yourselves'
  ).split(' '),
);

/** Runs that SQLite's `unicode61` keeps as one token: letters, numbers, private use, and marks it folds away. */
const TOKEN =
  /[\p{L}\p{N}\p{Co}](?:[\p{L}\p{N}\p{Co}]|[\u0300-\u0304\u0306-\u030c\u030f\u0311\u031b\u0323-\u0328\u032d\u032e\u0330\u0331])*/gu;
const ACCENTED_LATIN = /[\u00c0-\u024f\u1e00-\u1eff]/g;
const COMBINING_MARKS = /[\u0300-\u0331]/g;
/** Scripts that are written without spaces. */
const UNSPACED_RUN = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\u30fc]+/gu;

/**
 * What a question is searched by in a lexical index: its words, lower-cased and without diacritics, each once, in order,
 * English stop words left out (kept when nothing else remains), at most 64. Words are cut as SQLite's tokenizer
 * `unicode61 remove_diacritics 2` cuts them, so `error-code_42` gives `error`, `code`, `42`. In scripts without spaces a
 * term is a pair of neighbouring characters, which stand apart as `indexableText` writes them: an index must match such
 * a term as a phrase.
 */
export function queryTerms(text: string): string[] {
  const terms = [...new Set(textTerms(text))];
  const telling = terms.filter((term) => !STOP_WORDS.has(term));
  return (telling.length > 0 ? telling : terms).slice(0, MAX_TERMS);
}

/** The text as a lexical index must read it: characters of scripts without spaces become words of their own. */
export function indexableText(text: string): string {
  return text.replace(UNSPACED_RUN, (run) => ` ${[...run].join(' ')} `);
}

/**
 * The words of a text in their order, as an index must hold them: cut, lower-cased and without diacritics as in
 * `queryTerms`, characters of scripts without spaces one by one. Words that repeat are repeated; they are not stemmed.
 */
export function indexableWords(text: string): string[] {
  return (indexableText(text).match(TOKEN) ?? []).map(folded);
}

/** All terms of a text, in any order and as often as they are in it. */
export function textTerms(text: string): string[] {
  const runs = text.match(UNSPACED_RUN) ?? [];
  const words = text.replace(UNSPACED_RUN, ' ').match(TOKEN) ?? [];
  return [...words.map(folded), ...runs.flatMap(pairsOf)];
}

function folded(word: string): string {
  return word
    .toLowerCase()
    .replace(ACCENTED_LATIN, (letter) => letter.normalize('NFD'))
    .replace(COMBINING_MARKS, '');
}

function pairsOf(run: string): string[] {
  const characters = [...run];
  if (characters.length < 2) return characters;
  return characters.slice(1).map((character, index) => `${characters[index]} ${character}`);
}
