import { parse } from 'csv-parse/sync';
import type { LoadedText } from './loaded-text.ts';
import { pipeTable } from './pipe-table.ts';

const DELIMITERS = [',', ';', '\t', '|'] as const;
/** Lines from the start that the delimiter is told by. */
const SAMPLE_LINES = 50;
const SAMPLE_CHARACTERS = 64_000;
/** A quoted field, which may hold delimiters and line breaks. */
const QUOTED = /"(?:[^"]|""){0,10000}"/g;

/**
 * Makes a Markdown table of delimited text (RFC 4180 and its relatives): the delimiter is found, quoted fields may span
 * lines, ragged rows are filled up. A first row with a single cell above wider ones is the table's caption.
 */
export function loadDelimited(source: string): LoadedText {
  const text = source.replace(/^\uFEFF/, '').replace(/^sep=(.)\r?\n/i, '');
  const rows = readRows(text, findDelimiter(text.slice(0, SAMPLE_CHARACTERS))).filter((row) => row.some(isFilled));
  const [first, second] = rows;
  const hasCaption = first !== undefined && second !== undefined && isCaption(first, second);
  const caption = hasCaption ? (first.find(isFilled)?.trim() ?? '') : '';
  const table = pipeTable(hasCaption ? rows.slice(1) : rows);
  return {
    title: caption === '' ? null : caption.slice(0, 200),
    text: caption === '' ? table : `${caption}\n\n${table}`,
    layout: 'markdown',
  };
}

function readRows(text: string, delimiter: string): string[][] {
  const options = { delimiter, relax_column_count: true, skip_empty_lines: true, trim: true };
  try {
    return parse(text, { ...options, relax_quotes: true });
  } catch {
    // Quotes that do not pair up are marks like any other.
    return parse(text, { ...options, quote: null });
  }
}

function isFilled(cell: string): boolean {
  return cell.trim() !== '';
}

function isCaption(first: readonly string[], second: readonly string[]): boolean {
  return first.filter(isFilled).length === 1 && second.filter(isFilled).length > 1 && isFilled(first[0] ?? '');
}

/** The delimiter that cuts the first lines into the most columns, as evenly as can be. */
function findDelimiter(sample: string): string {
  const lines = sample
    .replace(QUOTED, 'x')
    .split(/\r\n?|\n/)
    .filter((line) => line.trim() !== '');
  // The last line of a cut sample may be cut itself.
  const whole = lines.slice(0, Math.min(SAMPLE_LINES, Math.max(1, lines.length - 1)));
  let best = { delimiter: ',', score: 0 };
  for (const delimiter of DELIMITERS) {
    const counts = whole.map((line) => line.split(delimiter).length - 1);
    const usual = mostFrequent(counts.filter((count) => count > 0));
    const even = counts.filter((count) => count === usual).length / Math.max(1, counts.length);
    const score = usual === 0 ? 0 : even * (1 + Math.log2(usual + 1) / 4);
    if (score > best.score) best = { delimiter, score };
  }
  return best.delimiter;
}

function mostFrequent(counts: readonly number[]): number {
  const times = new Map<number, number>();
  for (const count of counts) times.set(count, (times.get(count) ?? 0) + 1);
  return [...times].sort((a, b) => b[1] - a[1] || b[0] - a[0])[0]?.[0] ?? 0;
}
