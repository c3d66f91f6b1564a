import type { LoadedText } from '../loaded-text.ts';
import { createMarkdownWriter, tooLong } from './markdown-writer.ts';
import {
  mainPartOf,
  type PackedFile,
  partOfType,
  propertyTitle,
  relationshipsOf,
  streamPart,
  treeOf,
} from './office-package.ts';
import { type CellArea, createSheetTable, type SheetTable } from './sheet-table.ts';
import { writeSheet } from './sheet-writer.ts';
import { formatNumber, type NumberFormat, readNumberFormats } from './xlsx-numbers.ts';
import { childOf, childrenOf, textOf, type XmlElement } from './xml-reader.ts';

interface Workbook {
  readonly strings: readonly string[];
  readonly formats: readonly NumberFormat[];
  /** Days are counted from 1904 on. */
  readonly is1904: boolean;
}

/** Excel has no more. */
const MOST_COLUMNS = 16_384;
const MOST_ROWS = 1_048_576;

/**
 * Reads an Excel workbook (ECMA-376 SpreadsheetML) as a stream: each visible sheet becomes a section under its name with
 * one table, its rows in order; formulas show the values that were stored with them. Comments, charts and hidden sheets
 * are left out.
 *
 * @throws AppError `parse_failed`, `content_too_large`, `unpack_limit_exceeded`, `password_protected`.
 */
export async function loadXlsx(file: PackedFile): Promise<LoadedText> {
  const part = await mainPartOf(file);
  const links = await relationshipsOf(file, part);
  const root = await treeOf(file, part);
  const workbook: Workbook = {
    strings: await readStrings(file, partOfType(links, 'sharedStrings')),
    formats: await readNumberFormats(file, partOfType(links, 'styles')),
    is1904: ['1', 'true'].includes(childOf(root, 'workbookPr')?.attributes['date1904'] ?? ''),
  };
  const writer = createMarkdownWriter(file);
  for (const { attributes } of childrenOf(childOf(root, 'sheets'), 'sheet')) {
    const link = links.get(attributes['r:id'] ?? '');
    if (link?.type !== 'worksheet' || ['hidden', 'veryHidden'].includes(attributes['state'] ?? '')) continue;
    const rows = await readSheet(file, link.target, workbook);
    writeSheet(writer, attributes['name'] ?? '', rows);
  }
  return { title: await propertyTitle(file), text: writer.finish().text, layout: 'markdown' };
}

async function readStrings(file: PackedFile, part: string | undefined): Promise<readonly string[]> {
  const strings: string[] = [];
  let length = 0;
  await streamPart(file, part, {
    isUnit: (name) => name === 'si',
    onUnit(item) {
      const text = stringText(item);
      length += text.length;
      if (length > file.maxCharacters) throw tooLong(file);
      strings.push(text);
    },
  });
  return strings;
}

/** Without the reading aids that East Asian Excel stores beside the text. */
function stringText(item: XmlElement | undefined): string {
  return childrenOf(item)
    .map((child) => (child.name === 'r' ? stringText(child) : child.name === 't' ? textOf(child) : ''))
    .join('');
}

async function readSheet(file: PackedFile, part: string, workbook: Workbook): Promise<Iterable<readonly string[]>> {
  const table = createSheetTable(file);
  let next = 0;
  await streamPart(file, part, {
    isUnit: (name) => name === 'row' || name === 'mergeCell',
    onUnit(unit) {
      if (unit.name === 'row') next = addRow(table, { unit, next }, workbook);
      else merge(table, unit.attributes['ref'] ?? '');
    },
  });
  return table.rows();
}

/** Rows and cells may leave out their place: they come behind the one before then. */
function addRow(
  table: SheetTable,
  { unit, next }: { readonly unit: XmlElement; readonly next: number },
  workbook: Workbook,
): number {
  const row = Number(unit.attributes['r'] ?? next + 1) - 1;
  if (!(row >= 0 && row < MOST_ROWS)) return next;
  const cells: string[] = [];
  for (const cell of childrenOf(unit, 'c')) {
    const column = placeOf(cell.attributes['r'] ?? '')?.column ?? cells.length;
    if (column >= MOST_COLUMNS) continue;
    const text = cellText(cell, workbook);
    if (text === '') continue;
    while (cells.length < column) cells.push('');
    cells[column] = text;
  }
  table.addRow(row, cells);
  return row + 1;
}

function cellText(cell: XmlElement, { strings, formats, is1904 }: Workbook): string {
  const value = textOf(childOf(cell, 'v'));
  switch (cell.attributes['t']) {
    case 's':
      return strings[Number(value)] ?? '';
    case 'inlineStr':
      return stringText(childOf(cell, 'is'));
    case 'b':
      return value === '1' || value === 'true' ? 'TRUE' : 'FALSE';
    case 'd':
      return value.replace(/T(?:00:00:00(?:\.0+)?)?Z?$/, '').replace('T', ' ');
    case 'str':
    case 'e':
      return value;
    default:
      return formatNumber(value, formats[Number(cell.attributes['s'] ?? 0)] ?? 'number', is1904);
  }
}

function merge(table: SheetTable, reference: string): void {
  const area = areaOf(reference);
  if (area !== null && area.bottom > area.top) table.merge(area);
}

function areaOf(reference: string): CellArea | null {
  const [from, to] = reference.split(':').map(placeOf);
  if (!from || !to) return null;
  return { top: from.row, left: from.column, bottom: to.row, right: to.column };
}

/** `C7` is row 6, column 2. */
function placeOf(reference: string): { readonly row: number; readonly column: number } | null {
  const [, letters, digits] = /^\$?([A-Z]{1,3})\$?(\d{1,7})$/i.exec(reference) ?? [];
  if (letters === undefined || digits === undefined) return null;
  let column = 0;
  for (const letter of letters.toUpperCase()) column = column * 26 + letter.charCodeAt(0) - 64;
  return { row: Number(digits) - 1, column: column - 1 };
}
