import { cleanText } from './text-cleaning.ts';

/** A cell wider than this is cut off: it is data (base64, a dump), not something to be read. */
const WIDEST_CELL = 20_000;

/**
 * A Markdown table of rows of cells: the first row is its header, short rows are filled up, pipes are escaped, and a
 * cell's line breaks become blanks. Columns and rows without any content are left out. Empty without rows.
 */
export function pipeTable(rows: readonly (readonly string[])[]): string {
  const cells = rows.map((row) => row.map(cellText)).filter((row) => row.some((cell) => cell !== ''));
  const width = cells.reduce((most, row) => Math.max(most, row.length), 0);
  const used = Array.from({ length: width }, () => false);
  for (const row of cells) for (const [column, cell] of row.entries()) if (cell !== '') used[column] = true;
  const columns = [...used.keys()].filter((column) => used[column]);
  const lines = cells.map((row) => `| ${columns.map((column) => row[column] ?? '').join(' | ')} |`);
  const [header, ...body] = lines;
  if (header === undefined) return '';
  return [header, `|${' --- |'.repeat(columns.length)}`, ...body].join('\n');
}

/** Cells that there is nothing to clean in: most of a large table. */
const CLEAN = /^[!-{}~]+(?: [!-{}~]+)*$/;

function cellText(cell: string): string {
  if (cell === '' || (cell.length <= 200 && CLEAN.test(cell))) return cell;
  return cleanText(cell.slice(0, WIDEST_CELL)).replace(/\s+/g, ' ').replaceAll('|', '\\|');
}
