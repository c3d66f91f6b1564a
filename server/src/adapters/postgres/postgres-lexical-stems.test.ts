import fc from 'fast-check';
import Database from 'libsql';
import { expect, it } from 'vitest';
import { indexableText, indexableWords } from '../../vector-store/index.ts';
import { stemOf } from './postgres-lexical-stems.ts';

/** The words that SQLite keeps of a text. */
function createReference(): (text: string) => string[] {
  const database = new Database(':memory:');
  database.exec(`create virtual table texts using fts5(text, tokenize = 'porter unicode61 remove_diacritics 2');
    create virtual table words using fts5vocab(texts, 'instance')`);
  const read = database.prepare('select term from words order by offset');
  return (text) => {
    database.exec('delete from texts');
    database.prepare('insert into texts (text) values (?)').run(text);
    return (read.all() as { readonly term: string }[]).map(({ term }) => term);
  };
}

it('stems as the embedded index does', () => {
  const reference = createReference();
  const piece = fc.constantFrom(
    ...'a e i o u y b c d l s t z w x r n'.split(' '),
    ...'at bl iz ed ing eed ies sses ss y ll'.split(' '),
    ...'ational tional enci anci izer bli alli entli eli ousli logi ization ation ator alism iveness fulness'.split(
      ' ',
    ),
    ...'ousness aliti iviti biliti icate ative alize iciti ical ful ness al ance ence er ic able ible ant'.split(' '),
    ...'ement ment ent ion sion tion ou ism ate iti ous ive ize'.split(' '),
    ...['é', 'ß', '7', 'к'],
  );
  const word = fc.array(piece, { minLength: 1, maxLength: 5 }).map((pieces) => pieces.join(''));
  fc.assert(
    fc.property(fc.array(word, { minLength: 1, maxLength: 40 }), (words) => {
      const text = words.join(' ');
      expect(indexableWords(text).map(stemOf)).toEqual(reference(indexableText(text)));
    }),
    { numRuns: 300 },
  );
});

it('leaves very long words alone', () => {
  const word = `${'a'.repeat(40)}${'b'.repeat(40)}ings`;
  expect(stemOf(word)).toBe(word);
});
