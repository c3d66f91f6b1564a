import { tooLong } from './markdown-writer.ts';

/** Collects the cells of a sheet row by row, in little more memory than their text takes. */
export interface SheetTable {
  /** `cells[i]` is the text of column i; rows come in order, empty ones may be left out. */
  addRow(row: number, cells: readonly string[]): void;
  /** A block of merged cells, ends included, counted from 0: those merged downwards repeat their text in each row. */
  merge(area: CellArea): void;
  /** Rows with something in them, one at a time. */
  rows(): Iterable<readonly string[]>;
}

export interface CellArea {
  readonly top: number;
  readonly left: number;
  readonly bottom: number;
  readonly right: number;
}

const BETWEEN_CELLS = '\u001F';
/** Cells that all merged areas of a sheet may fill. */
const MOST_FILLED = 200_000;

/** `maxCharacters` (UTF-16 units) bounds the text of the sheet; errors as `content_too_large`. */
export function createSheetTable(limits: { readonly name: string; readonly maxCharacters: number }): SheetTable {
  const lines = new Map<number, string>();
  let length = 0;
  let filled = 0;
  return {
    addRow(row, cells) {
      if (cells.every((cell) => cell === '')) return;
      // Joining copies the text out of the pieces of XML that it would keep in memory.
      const line = cells.map((cell) => cell.replaceAll(BETWEEN_CELLS, ' ')).join(BETWEEN_CELLS);
      length += line.length;
      if (length > limits.maxCharacters) throw tooLong(limits);
      lines.set(row, line);
    },
    merge({ top, left, bottom }) {
      const text = lines.get(top)?.split(BETWEEN_CELLS)[left] ?? '';
      if (text === '') return;
      for (let row = top + 1; row <= bottom && filled < MOST_FILLED; row += 1) {
        const line = lines.get(row);
        if (line === undefined) continue;
        const cells = line.split(BETWEEN_CELLS);
        while (cells.length < left) cells.push('');
        cells[left] = text;
        length += text.length;
        filled += 1;
        if (length > limits.maxCharacters) throw tooLong(limits);
        lines.set(row, cells.join(BETWEEN_CELLS));
      }
    },
    *rows() {
      for (const line of lines.values()) yield line.split(BETWEEN_CELLS);
    },
  };
}
