import type { MarkdownWriter } from './markdown-writer.ts';

/**
 * Writes a sheet as a section with one table. Rows above the table that hold a single cell, as titles do, become
 * paragraphs above it; a sheet of such rows alone is a list of paragraphs.
 */
export function writeSheet(writer: MarkdownWriter, name: string, rows: readonly (readonly string[])[]): void {
  if (rows.length === 0) return;
  writer.heading(2, name);
  const isWide = (row: readonly string[]): boolean => row.filter((cell) => cell.trim() !== '').length > 1;
  const first = rows.findIndex(isWide);
  const isList = first === -1;
  if (isList && rows.length > MOST_CAPTION_ROWS) {
    writer.table(rows);
    return;
  }
  const captions = isList ? rows : rows.slice(0, Math.min(first, MOST_CAPTION_ROWS));
  for (const row of captions) writer.paragraph(row.join(' '));
  writer.table(rows.slice(captions.length));
}

const MOST_CAPTION_ROWS = 5;
