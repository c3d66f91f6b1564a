import { AppError } from '../../../kernel/index.ts';
import type { LoadedText } from '../loaded-text.ts';
import { createMarkdownWriter, type MarkdownWriter, oneLine } from './markdown-writer.ts';
import { type PackedFile, streamPart, titleText, treeOf } from './office-package.ts';
import { type BlockWriter, createBlockWriter } from './opendocument-blocks.ts';
import { cellsOf } from './opendocument-inline.ts';
import { createDocumentStyles, type DocumentStyles } from './opendocument-styles.ts';
import { createSheetTable, type SheetTable } from './sheet-table.ts';
import { writeSheet } from './sheet-writer.ts';
import { childOf, childrenOf, descendantsOf, textOf, type XmlElement, type XmlHandlers } from './xml-reader.ts';

interface Reading {
  readonly file: PackedFile;
  readonly writer: MarkdownWriter;
  readonly blocks: BlockWriter;
  readonly styles: DocumentStyles;
}

/**
 * Reads an OpenDocument text, spreadsheet or presentation (ISO/IEC 26300) as a stream, in the manner of the Office
 * formats: comments, tracked deletions, hidden sheets and slides and tables of contents are left out.
 *
 * @throws AppError `password_protected`, `parse_failed`, `content_too_large`, `unpack_limit_exceeded`.
 */
export async function loadOpenDocument(file: PackedFile, kind: 'odt' | 'ods' | 'odp'): Promise<LoadedText> {
  const manifest = await treeOf(file, 'META-INF/manifest.xml');
  if (descendantsOf(manifest, 'encryption-data').length > 0) throw passwordProtected(file.name);
  const styles = createDocumentStyles();
  await streamPart(file, 'styles.xml', { isUnit: isStyle, onUnit: styles.add });
  const writer = createMarkdownWriter(file);
  const reading = { file, writer, styles, blocks: createBlockWriter(writer, styles) };
  await streamPart(file, 'content.xml', handlersOf(kind, reading));
  reading.blocks.finish();
  const meta = childOf(await treeOf(file, 'meta.xml'), 'meta');
  const { text, pageStarts } = writer.finish();
  const heading = /^# (.+)$/m.exec(text.slice(0, 2_000))?.[1];
  const title = reading.blocks.title() ?? titleText(textOf(childOf(meta, 'title'))) ?? titleText(heading ?? '');
  return { title, text, ...(pageStarts === undefined ? {} : { pageStarts }), layout: 'markdown' };
}

export function passwordProtected(name: string): AppError {
  return new AppError(
    'password_protected',
    `"${name}" is protected by a password. Save it without one and upload it again.`,
  );
}

function isStyle(name: string): boolean {
  return name === 'style' || name === 'list-style';
}

function handlersOf(kind: 'odt' | 'ods' | 'odp', reading: Reading): XmlHandlers {
  switch (kind) {
    case 'odt':
      return textHandlers(reading);
    case 'ods':
      return sheetHandlers(reading);
    case 'odp':
      return slideHandlers(reading);
  }
}

/** Blocks, and what is not to be looked into for blocks. */
const TEXT_UNITS = new Set(['p', 'h', 'list', 'table', 'tracked-changes', 'table-of-content', 'forms', 'annotation']);

function textHandlers({ blocks, styles }: Reading): XmlHandlers {
  return {
    isUnit: (name) => isStyle(name) || TEXT_UNITS.has(name),
    onUnit: (unit) => (isStyle(unit.name) ? styles.add(unit) : blocks.write(unit)),
  };
}

const SHEET_UNITS = new Set(['table-row', 'tracked-changes', 'shapes', 'forms', 'annotation', 'p']);
/** Files repeat their last, empty row a million times. */
const MOST_REPEATS = 1_000;

function sheetHandlers({ file, writer, styles, blocks }: Reading): XmlHandlers {
  let sheet: { readonly name: string; readonly table: SheetTable; next: number } | null = null;
  return {
    isUnit: (name) => isStyle(name) || SHEET_UNITS.has(name),
    onOpen({ name, attributes }) {
      if (name !== 'table') return;
      const isShown = !styles.isHidden(attributes['style-name']);
      sheet = isShown ? { name: attributes['name'] ?? '', table: createSheetTable(file), next: 0 } : null;
    },
    onUnit(unit) {
      if (isStyle(unit.name)) styles.add(unit);
      else if (unit.name === 'table-row' && sheet !== null)
        sheet.next += addRow(sheet.table, { unit, row: sheet.next }, blocks);
    },
    onClose(name) {
      if (name !== 'table' || sheet === null) return;
      writeSheet(writer, sheet.name, sheet.table.rows());
      sheet = null;
    },
  };
}

/** Gives the number of rows that the element stands for. */
function addRow(
  table: SheetTable,
  { unit, row }: { readonly unit: XmlElement; readonly row: number },
  blocks: BlockWriter,
): number {
  const cells: string[] = [];
  const placed = cellsOf(unit);
  for (const { column, cell } of placed) {
    while (cells.length < column) cells.push('');
    cells[column] = cellText(cell, blocks);
  }
  const repeats = Math.max(1, Number(unit.attributes['number-rows-repeated'] ?? 1));
  for (let repeat = 0; repeat < Math.min(repeats, MOST_REPEATS); repeat += 1) table.addRow(row + repeat, cells);
  for (const { column, down } of placed) {
    if (down > 0) table.merge({ top: row, left: column, bottom: row + down, right: column });
  }
  return repeats;
}

/** Dates in the order of ISO 8601, all else as it is shown. */
function cellText(cell: XmlElement, blocks: BlockWriter): string {
  const date = cell.attributes['date-value'];
  return cell.attributes['value-type'] === 'date' && date !== undefined ? date.replace('T', ' ') : blocks.lineOf(cell);
}

function slideHandlers({ writer, styles, blocks }: Reading): XmlHandlers {
  let number = 0;
  return {
    isUnit: (name) => isStyle(name) || name === 'page',
    onUnit(unit) {
      if (isStyle(unit.name)) {
        styles.add(unit);
        return;
      }
      number += 1;
      writer.page();
      if (!styles.isHidden(unit.attributes['style-name'])) writeSlide(unit, { writer, blocks, number });
    },
  };
}

function writeSlide(
  page: XmlElement,
  { writer, blocks, number }: Pick<Reading, 'writer' | 'blocks'> & { readonly number: number },
): void {
  const shapes = childrenOf(page);
  const isTitle = ({ attributes }: XmlElement): boolean => attributes['class'] === 'title';
  const title = oneLine(shapes.filter(isTitle).map(blocks.lineOf).join(' '));
  writer.heading(2, title === '' ? `Slide ${number}` : title);
  for (const shape of shapes) if (!isTitle(shape)) blocks.write(shape);
  const notes = shapes.filter(({ name }) => name === 'notes').flatMap((shape) => descendantsOf(shape, 'p'));
  const text = notes.map(blocks.lineOf).filter((line) => line !== '');
  if (text.length > 0) writer.paragraph(`Notes: ${text.join('\n\n')}`);
}
