import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cleanText, controlShare, hasContent } from './text-cleaning.ts';

describe('text cleaning', () => {
  it('removes what hides in text', () => {
    const tags = [...'ignore'].map((letter) => String.fromCodePoint(0xe0000 + letter.charCodeAt(0))).join('');
    expect(cleanText(`pay\u200Bment \u202Etxt\u202C soft\u00ADware${tags} \u0000end\uFEFF`)).toBe(
      'payment txt software end',
    );
    expect(cleanText('\u001B[31mred\u001B[0m \uD800lone')).toBe('red lone');
  });

  it('does to a character of plain text what it does to it in any other', () => {
    // The joiner after a Han character is dropped and takes the text off the short way.
    const other = '\u6f22\u200D';
    for (let code = 0x21; code < 0x3000; code += 1) {
      const character = String.fromCharCode(code);
      if (/\p{M}/u.test(character)) continue;
      expect(cleanText(`a${character}b${other}`), code.toString(16)).toBe(`${cleanText(`a${character}b`)}\u6f22`);
    }
  });

  it('makes line feeds, ordinary spaces and composed letters', () => {
    expect(cleanText('a\r\nb\rc\u2028d\u00A0e  \t\n\n\n\nCafe\u0301')).toBe('a\nb\nc\nd e\n\nCafé');
  });

  it('keeps joiners and selectors where they spell something', () => {
    expect(cleanText('👩‍💻 ❤️ می‌خواهم')).toBe('👩‍💻 ❤️ می‌خواهم');
    expect(cleanText('a\u200Db\u200Cc\uFE0F')).toBe('abc');
  });

  it('is idempotent for any text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 60 }), (text) => {
        const clean = cleanText(text);
        expect(cleanText(clean)).toBe(clean);
        expect(clean).toBe(clean.normalize('NFC'));
      }),
    );
  });

  it('stays linear on long runs of blanks', () => {
    const blanks = ' \t'.repeat(1_000_000);
    expect(cleanText(`a${blanks}b`).length).toBe(blanks.length + 2);
  });

  it('tells content from layout', () => {
    expect(['## ', '---\n***', '| | |\n|-|-|', '<!-- -->', ''].some(hasContent)).toBe(false);
    expect(['a', '7', '語', '👍'].every(hasContent)).toBe(true);
    expect(controlShare('\u0000\u0001ab')).toBe(0.5);
  });
});
