import { describe, expect, it } from 'vitest';
import { scanBlocks } from '../chunking/block-scanner.ts';
import { findFault } from './content-loader.ts';
import { plainHeading } from './markdown-loader.ts';
import { cleanText } from './text-cleaning.ts';

const LENGTH = 131_072;
/** Linear work on that much takes a tenth of this; the machine's noise is below it. */
const QUICK_MS = 250;
/** Four times the text takes 4 times as long; 16 times where time is quadratic. */
const LARGEST_RATIO = 8;

const PUMPED = [
  ...['(', '[', '<', '{', '`', '|', '-', ' ', '\t', '#', '*', '_', '\\', '&', '"', "'", '~', '>', 'a', '|  ', ' #'],
  ...['{%', '{{', '{#', '{:', '<!--', '![', '![](', '![a](', '[a](', '![a](b "', "![a](b '", '(data:', '( data:'],
  ...['<a ', '<h1 ', '<table>', '<td>', '<script>', '<!doctype', '{% raw', '{% comment %}', '{% a "', '`a', '```\n'],
  ...['\u001b[0', '\u200d', '\u0301\u0327', '\u0344', '\r', '\n ', '- \n', '---\n', '|-\n', 'a@', '<a@', 'é', '日。'],
];

/** What the pumped text stands between. */
type Frame = readonly [before: string, after: string];

const LOOK_FRAMES: readonly Frame[] = [
  ['', 'x'],
  ['---\ntitle: T\n---\n', 'x'],
  ['---\ntitle: a', 'x\n---\nText'],
  ['{%', 'x'],
  ['<a', 'x'],
];
const BLOCK_FRAMES: readonly Frame[] = [
  ['', 'x'],
  ['# a', 'x'],
  ['a|b\n-', 'x'],
];

const look = (text: string): unknown => findFault(Buffer.from(text), { name: 'x.md', mediaType: '' }, true);
const scan = (text: string): unknown => scanBlocks(text, { start: 0, end: text.length }, 'markdown');

function pumped([before, after]: Frame, unit: string, length: number): string {
  const room = length - before.length - after.length;
  return before + unit.repeat(Math.ceil(room / unit.length)).slice(0, room) + after;
}

/** Processor time, in milliseconds: what others do meanwhile does not count. */
function timeOf(work: () => unknown): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1_000;
}

function shortest(measure: () => number): number {
  return Math.min(measure(), measure(), measure());
}

describe.each<[string, (text: string) => unknown, readonly Frame[]]>([
  ['the look at a small upload', look, LOOK_FRAMES],
  ['cleaning', cleanText, [['', 'x']]],
  ['a heading', plainHeading, [['', 'x']]],
  ['the search for blocks', scan, BLOCK_FRAMES],
])('%s takes time in proportion to its text', (_, work, frames) => {
  it.each(PUMPED)('%j', (unit) => {
    for (const frame of frames) {
      const timeAt = (length: number): number => timeOf(() => work(pumped(frame, unit, length)));
      if (timeAt(LENGTH) < QUICK_MS) continue;
      const ratio = shortest(() => timeAt(LENGTH)) / shortest(() => timeAt(LENGTH / 4));
      expect(ratio, `between ${JSON.stringify(frame)}`).toBeLessThan(LARGEST_RATIO);
    }
  });
});

it('tells at once that a long line is no table delimiter', () => {
  const head = `a|b\n-${'|  '.repeat(100)}x`;
  expect(timeOf(() => scan(head))).toBeLessThan(1_000);
});
