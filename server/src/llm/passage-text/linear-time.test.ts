import { describe, expect, it } from 'vitest';
import { plainText, splitStatements } from './index.ts';

const LENGTH = 200_000;
/** Generous: each takes some ten milliseconds, and would take five seconds and more in quadratic time. */
const BOUND_MS = 2000;

/** Texts that make a reader try from everywhere, and look far each time. */
const MARKDOWN: readonly (readonly [beginning: string, run: string])[] = [
  ['', '{{'],
  ['', '<a '],
  ['', '<!--'],
  ['', '<https://'],
  ['', '[^'],
  ['', '[a]('],
  ['', '![]('],
  ['', '[a]['],
  ['', '[[a]'],
  ['', '*a'],
  ['', '~~a'],
  ['[', '1'],
  ['[a](', 'a'],
  ['[a](', ' '],
  ['[a](', '[b](c)'],
  ['[a][', 'a'],
  ['{% ', 'image '],
  ['{% ', '"'],
];
const LINES: readonly (readonly [beginning: string, run: string])[] = [
  ['', ' '],
  ['', '.'],
  ['', '> '],
  ['# ', ' '],
  ['# ', '# '],
  ['--|', ' '],
  ['|', ' '],
  ['', '--|'],
  ['', '- '],
];

function timeOf(read: (text: string) => unknown, text: string): number {
  const startedAt = performance.now();
  read(text);
  return performance.now() - startedAt;
}

describe('texts made to make a reader slow', () => {
  it.each(MARKDOWN)('do not as Markdown: %j and many %j', (beginning, run) => {
    expect(timeOf(plainText, `${beginning}${run.repeat(LENGTH / run.length)}x`)).toBeLessThan(BOUND_MS);
  });

  it.each(LINES)('do not as lines: %j and many %j', (beginning, run) => {
    expect(timeOf(splitStatements, `${beginning}${run.repeat(LENGTH / run.length)}x`)).toBeLessThan(BOUND_MS);
  });

  it('do not when numbers in brackets stand in each other', () => {
    const nested = `a ${'['.repeat(LENGTH / 2)}${'1]'.repeat(LENGTH / 2)} b`;
    expect(plainText(nested)).toBe('a b');
    expect(timeOf(plainText, nested)).toBeLessThan(BOUND_MS);
  });
});
