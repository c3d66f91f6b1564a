import fc from 'fast-check';
import { expect, it } from 'vitest';
import {
  decodePostings,
  decodeWords,
  encodePostings,
  encodeWords,
  findWords,
  type Posting,
  visitPostings,
  WantedWords,
} from './postgres-lexical-bytes.ts';

const places = fc.uniqueArray(fc.nat(70_000), { maxLength: 5 }).map((some) => some.sort((a, b) => a - b));
const posting = fc.record({
  chunk: fc.integer({ min: 1, max: 2 ** 45 }),
  length: fc.nat(100_000),
  title: places,
  body: places,
});
const list = fc
  .uniqueArray(posting, { selector: ({ chunk }) => chunk, maxLength: 20 })
  .map((postings): Posting[] => postings.sort((one, other) => one.chunk - other.chunk));

it('gives back the postings of lists that were joined', () => {
  fc.assert(
    fc.property(fc.array(list, { maxLength: 4 }), (lists) => {
      const bytes = Buffer.concat(lists.map(encodePostings));
      expect(decodePostings(bytes)).toEqual(lists.flat());
      const visited: unknown[] = [];
      visitPostings(bytes, (chunk, length, { title, body }) => visited.push([chunk, length, title, body]));
      expect(visited).toEqual(
        lists.flat().map(({ chunk, length, title, body }) => [chunk, length, title.length, body.length]),
      );
    }),
  );
});

it('gives back the words of a chunk, and finds those that are wanted', () => {
  const word = fc
    .string({ unit: 'grapheme', minLength: 1, maxLength: 12 })
    .filter((text) => Buffer.from(text).toString() === text);
  const words = fc.uniqueArray(fc.tuple(word, fc.record({ title: places, body: places })), {
    selector: ([text]) => text,
    maxLength: 30,
  });
  fc.assert(
    fc.property(words, fc.array(word), (entries, others) => {
      const bytes = encodeWords(new Map(entries));
      expect([...decodeWords(bytes)]).toEqual(entries);
      const wanted = new Set([...entries.filter((_, index) => index % 2 === 0).map(([text]) => text), ...others]);
      expect([...findWords(bytes, new WantedWords(wanted))]).toEqual(entries.filter(([text]) => wanted.has(text)));
    }),
  );
});
