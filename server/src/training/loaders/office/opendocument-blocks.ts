import { type MarkdownWriter, oneLine } from './markdown-writer.ts';
import { titleText } from './office-package.ts';
import { cellsOf, type InlineContext, inlineText, rowsOf } from './opendocument-inline.ts';
import type { DocumentStyles } from './opendocument-styles.ts';
import { childrenOf, type XmlElement } from './xml-reader.ts';

/** Writes the blocks of OpenDocument text. */
export interface BlockWriter {
  /** A heading, paragraph, list or table; of anything else what is in it. */
  write(block: XmlElement): void;
  /** All text in an element, on one line. */
  lineOf(element: XmlElement): string;
  /** Writes the notes that are still to be written. */
  finish(): void;
  /** The paragraph of style "Title", once it has been written. */
  title(): string | null;
}

/** What readers do not see, or see twice. */
const UNREAD = new Set([
  'tracked-changes',
  'table-of-content',
  'illustration-index',
  'table-index',
  'forms',
  'annotation',
  'notes',
  'sequence-decls',
  'shapes',
  'title',
  'desc',
]);
const TITLES: ReadonlySet<string> = new Set(['Title']);

export function createBlockWriter(writer: MarkdownWriter, styles: DocumentStyles): BlockWriter {
  const pending: string[] = [];
  let notes = 0;
  let title: string | null = null;
  /** The last number of each list style on its outermost level, for lists that go on counting. */
  const lastNumbers = new Map<string, number>();
  const context: InlineContext = {
    isHidden: styles.isHidden,
    addNote(body) {
      notes += 1;
      pending.push(`[^${notes}]: ${body === undefined ? '' : lineOf(body)}`);
      return notes;
    },
  };

  function writeNotes(): void {
    for (const note of pending.splice(0)) writer.paragraph(note);
  }

  function lineOf(element: XmlElement): string {
    if (UNREAD.has(element.name)) return '';
    if (element.name !== 'p' && element.name !== 'h') {
      return oneLine(childrenOf(element).map(lineOf).join(' '));
    }
    const { text, boxes } = inlineText(element, context);
    return oneLine([text, ...boxes.map(lineOf)].join(' '));
  }

  function write(block: XmlElement): void {
    if (UNREAD.has(block.name) || styles.isHidden(block.attributes['style-name'])) return;
    if (block.name === 'list') {
      writeNotes();
      writeList(block, { style: '', depth: 0 });
      return;
    }
    if (block.name !== 'table') {
      if (block.name === 'p' || block.name === 'h') writeParagraph(block);
      else for (const child of childrenOf(block)) write(child);
      return;
    }
    writeNotes();
    writer.table(gridOf(block));
  }

  function writeParagraph(block: XmlElement): void {
    writeNotes();
    const { text, boxes } = inlineText(block, context);
    const isTitle = styles.nameAmong(block.attributes['style-name'], TITLES) !== null;
    const shift = title === null ? 0 : 1;
    if (block.name === 'h') writer.heading(Number(block.attributes['outline-level'] ?? 1) + shift, text);
    else if (isTitle && title === null && text !== '') {
      title = titleText(text);
      writer.heading(1, text);
    } else writer.paragraph(text);
    for (const box of boxes) write(box);
  }

  function writeList(
    list: XmlElement,
    { style: outer, depth }: { readonly style: string; readonly depth: number },
  ): void {
    const style = list.attributes['style-name'] ?? outer;
    const shape = styles.numberOf(style, depth);
    const goesOn = list.attributes['continue-numbering'] === 'true' || list.attributes['continue-list'] !== undefined;
    let number = (goesOn && depth === 0 ? lastNumbers.get(style) : undefined) ?? (shape?.start ?? 1) - 1;
    for (const item of childrenOf(list)) {
      if (item.name !== 'list-item' && item.name !== 'list-header') continue;
      number = item.attributes['start-value'] === undefined ? number + 1 : Number(item.attributes['start-value']);
      const marker = shape === null || item.name === 'list-header' ? '-' : `${number}${shape.suffix}`;
      writeItem(item, { marker, style, depth });
    }
    if (depth === 0) lastNumbers.set(style, number);
  }

  function writeItem(
    item: XmlElement,
    { marker, style, depth }: { readonly marker: string; readonly style: string; readonly depth: number },
  ): void {
    const blocks = childrenOf(item);
    // Chapters are numbered by lists of headings.
    for (const heading of blocks.filter(({ name }) => name === 'h')) write(heading);
    const texts = blocks.filter(({ name }) => name === 'p').map((block) => inlineText(block, context));
    writer.listItem(marker, depth, texts.map(({ text }) => text).join('\n'));
    for (const block of blocks) {
      if (block.name === 'list') writeList(block, { style, depth: depth + 1 });
      else if (block.name === 'table') write(block);
    }
    for (const box of texts.flatMap(({ boxes }) => boxes)) write(box);
  }

  function gridOf(table: XmlElement): readonly (readonly string[])[] {
    const grid: string[][] = [];
    for (const [position, row] of rowsOf(table).entries()) {
      for (const { column, cell, down } of cellsOf(row)) {
        const text = lineOf(cell);
        for (let below = 0; below <= Math.min(down, MOST_MERGED); below += 1)
          place(grid, { row: position + below, column }, text);
      }
    }
    return grid;
  }

  return { write, lineOf, finish: writeNotes, title: () => title };
}

const MOST_MERGED = 10_000;

function place(
  grid: string[][],
  { row, column }: { readonly row: number; readonly column: number },
  text: string,
): void {
  while (grid.length <= row) grid.push([]);
  const cells = grid[row];
  if (cells === undefined) return;
  while (cells.length < column) cells.push('');
  cells[column] = text;
}
