import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { windowsOf } from './windows.ts';

const chunk = (text: string) => ({ title: 'Leave', headingPath: ['Leave', 'Sick leave'], text });
const words = (count: number): string => Array.from({ length: count }, (_, index) => `w${index}`).join(' ');

describe('windows of a chunk', () => {
  it('overlap, and each begins with the title and the headings', () => {
    expect(windowsOf(chunk('one two three four five'), { words: 3, step: 2 })).toEqual([
      'Leave\nSick leave\none two three',
      'Leave\nSick leave\nthree four five',
    ]);
  });

  it('are one for a short chunk, an empty one and without a window shape', () => {
    const shape = { words: 80, step: 60 };
    expect(windowsOf(chunk(words(80)), shape)).toHaveLength(1);
    expect(windowsOf(chunk(words(81)), shape)).toHaveLength(2);
    expect(windowsOf(chunk(' \n '), shape)).toEqual(['Leave\nSick leave\n']);
    expect(windowsOf(chunk(words(500)), null)).toHaveLength(1);
    expect(windowsOf({ title: ' ', headingPath: [], text: 'a' }, shape)).toEqual(['a']);
  });

  it('keep the text between the words as it is', () => {
    expect(windowsOf({ title: '', headingPath: [], text: '\na,\n\n  b c' }, { words: 2, step: 2 })).toEqual([
      'a,\n\n  b',
      'c',
    ]);
  });

  it('cover every word and are never too long', () => {
    fc.assert(
      fc.property(
        fc.nat({ max: 300 }),
        fc.integer({ min: 1, max: 90 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (count, size, part) => {
          const step = Math.max(1, Math.round(size * part));
          const windows = windowsOf({ title: '', headingPath: [], text: words(count) }, { words: size, step });
          const seen = new Set(windows.flatMap((window) => window.split(/\s+/).filter(Boolean)));
          expect(seen.size).toBe(count);
          for (const window of windows) expect(window.split(/\s+/).length).toBeLessThanOrEqual(size);
        },
      ),
    );
  });
});
