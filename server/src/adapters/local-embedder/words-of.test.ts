import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isTeachable, wordsOf } from './words-of.ts';

const known = new Set(['get', 'user', 'id', 'won', 'it', 'javascript', 'the', 'kublai', "o'clock", 'file', 'name']);
const split = (text: string): string[] => wordsOf(text, (word) => known.has(word));

describe('words of a text', () => {
  it.each([
    ['The user-ID: 42', ['the', 'user', 'id']],
    ['getUserId get_user_id', ['get', 'user', 'id', 'get', 'user', 'id']],
    ['JavaScript', ['javascript']],
    ["won't it’s Kublai's o'clock", ['won', 'it', 'kublai', "o'clock"]],
    ['gpt4 v2', ['gpt', 'v']],
    ['3f2504e0-4f89-11d3-9a0c-0305e82c3301', ['f']],
    ['dGhpcyBpcyBhIHRlc3Qgb2YgYmFzZTY0', []],
    ['', []],
  ])('%s', (text, words) => {
    expect(split(text)).toEqual(words);
  });

  it('gives short lower-case words without white space for any text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 100 }), (text) => {
        const wrong = split(text).filter(
          (word) => word !== word.toLowerCase() || word.length > 30 || !/^[\p{L}\p{M}'’]+$/u.test(word),
        );
        expect(wrong).toEqual([]);
      }),
    );
  });

  it('keeps a flood of random characters away from the model', () => {
    // A fixed sequence of pseudo-random bytes.
    let state = 1;
    const bytes = Buffer.from(
      Array.from({ length: 60_000 }, () => {
        state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
        return state >> 16;
      }),
    );
    const teachable = (text: string): number => new Set(split(text).filter(isTeachable)).size;
    expect(teachable(bytes.toString('base64'))).toBeLessThan(200);
    expect(teachable(bytes.toString('hex').replace(/.{32}/g, '$& '))).toBeLessThan(200);
  });
});

describe('teachable words', () => {
  it.each(['onboarding', 'llm', 'sso', 'café', 'rhythm', 'ctenophores'])('%s', (word) => {
    expect(isTeachable(word)).toBe(true);
  });
  it.each(['a', 'слово', '単語', 'zzzzzzz', 'xkcdqwrt', 'q1', 'a'.repeat(31)])('not %s', (word) => {
    expect(isTeachable(word)).toBe(false);
  });
});
