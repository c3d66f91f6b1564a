import { type PackedFile, treeOf } from './office-package.ts';
import { childOf, childrenOf } from './xml-reader.ts';

/** How numbers of a cell style are shown, as far as it changes what they mean. */
export type NumberFormat = 'number' | 'percent' | 'date' | 'time' | 'date-time' | 'duration';

/** Built-in formats (ECMA-376 part 1, 18.8.30), with those that East Asian Excel adds. */
const BUILT_IN: ReadonlyMap<number, NumberFormat> = new Map<number, NumberFormat>([
  [9, 'percent'],
  [10, 'percent'],
  ...[14, 15, 16, 17, 27, 28, 29, 30, 31, 36, 50, 51, 52, 53, 54, 57, 58].map((id) => [id, 'date'] as const),
  ...[18, 19, 20, 21, 32, 33, 34, 35, 45, 47, 55, 56].map((id) => [id, 'time'] as const),
  [22, 'date-time'],
  [46, 'duration'],
]);

/** The number format of each cell style, by its index. */
export async function readNumberFormats(file: PackedFile, part: string | undefined): Promise<readonly NumberFormat[]> {
  const root = await treeOf(file, part);
  const own = new Map(
    childrenOf(childOf(root, 'numFmts'), 'numFmt').map(({ attributes }) => [
      Number(attributes['numFmtId']),
      formatOfCode(attributes['formatCode'] ?? ''),
    ]),
  );
  return childrenOf(childOf(root, 'cellXfs'), 'xf').map(({ attributes }) => {
    const id = Number(attributes['numFmtId'] ?? 0);
    return own.get(id) ?? BUILT_IN.get(id) ?? 'number';
  });
}

function formatOfCode(code: string): NumberFormat {
  // What is quoted, escaped or filled with says nothing about dates; the first section is that of positive numbers.
  const bare = code.replace(/"[^"]*"|\\.|_.|\*./g, '').split(';', 1)[0] ?? '';
  if (/\[(?:h+|m+|s+)\]/i.test(bare)) return 'duration';
  const letters = bare.replace(/\[[^\]]*\]/g, '').replace(/general/gi, '');
  const hasDate = /[yd]/i.test(letters);
  const hasTime = /[hs]/i.test(letters);
  if (hasDate && hasTime) return 'date-time';
  if (hasTime) return 'time';
  if (hasDate || /m/i.test(letters)) return 'date';
  return letters.includes('%') ? 'percent' : 'number';
}

/** Day 0 of Excel is the last of 1899, off by one from March 1900 on because it takes 1900 for a leap year. */
const EPOCH_1900 = Date.UTC(1899, 11, 30);
const EPOCH_1904 = Date.UTC(1904, 0, 1);
/** 31 December 9999, the last day of Excel. */
const LAST_DAY = 2_958_465;
const FEBRUARY_29 = 60;

/** Numbers without noise and exponents are shown as they are. */
const SHORT = /^-?\d{1,10}(?:\.\d{1,4})?$/;

/** A number as it is read: dates as `2024-05-01`, times as `13:30` or `13:30:05`, percents with their sign. */
export function formatNumber(value: string, format: NumberFormat, is1904: boolean): string {
  if (format === 'number' && SHORT.test(value)) return value;
  const number = Number(value);
  if (value.trim() === '' || !Number.isFinite(number)) return value;
  if (format === 'percent') return `${plain(number * 100)}%`;
  if (format === 'duration') return duration(number);
  if (format === 'number' || number < 0 || number > LAST_DAY) return plain(number);
  const days = !is1904 && number < FEBRUARY_29 ? number + 1 : number;
  const moment = new Date((is1904 ? EPOCH_1904 : EPOCH_1900) + Math.round(days * 86_400) * 1_000).toISOString();
  const date = moment.slice(0, 10);
  const time = moment.slice(11, 19).replace(/:00$/, '');
  if (format === 'time') return number >= 1 ? `${date} ${time}` : time;
  return format === 'date' ? date : `${date} ${time}`;
}

/** Without the noise of binary fractions: Excel shows 15 digits. */
function plain(number: number): string {
  return String(Number(number.toPrecision(15)));
}

function duration(days: number): string {
  const seconds = Math.round(Math.abs(days) * 86_400);
  const two = (part: number): string => String(part).padStart(2, '0');
  const parts = [Math.floor(seconds / 3_600), two(Math.floor(seconds / 60) % 60), two(seconds % 60)];
  return `${days < 0 ? '-' : ''}${parts.join(':')}`;
}
