import type { MarkdownWriter } from './markdown-writer.ts';

type Row = readonly string[];

const MOST_CAPTION_ROWS = 5;
/** Characters after which a table begins anew, with its header, so that documents can be cut between tables. */
const LONGEST_TABLE = 400_000;

/**
 * Writes a sheet as a section with one table; a huge one as several of the same name and header. Rows above the table that
 * hold a single cell, as titles do, become paragraphs above it.
 */
export function writeSheet(writer: MarkdownWriter, name: string, rows: Iterable<Row>): void {
  let captions = 0;
  let table: Row[] = [];
  let length = 0;
  for (const row of rows) {
    if (table.length === 0 && captions === 0) writer.heading(2, name);
    if (table.length === 0 && captions < MOST_CAPTION_ROWS && filledCells(row) === 1) {
      writer.paragraph(row.join(' '));
      captions += 1;
      continue;
    }
    if (length > LONGEST_TABLE) {
      writer.table(table);
      writer.heading(2, name);
      table = table.slice(0, 1);
      length = 0;
    }
    table.push(row);
    length += row.reduce((sum, cell) => sum + cell.length + 3, 0);
  }
  writer.table(table);
}

function filledCells(row: Row): number {
  return row.filter((cell) => cell.trim() !== '').length;
}
