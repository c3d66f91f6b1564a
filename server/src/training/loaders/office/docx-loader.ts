import type { LoadedText } from '../loaded-text.ts';
import { type InlineContext, inlineText } from './docx-inline.ts';
import { type NumberParagraph, readNumbering } from './docx-numbering.ts';
import { numberingOf, outlineLevelOf, readStyles } from './docx-styles.ts';
import { createMarkdownWriter, type MarkdownWriter, oneLine } from './markdown-writer.ts';
import {
  mainPartOf,
  type PackedFile,
  partOfType,
  propertyTitle,
  relationshipsOf,
  streamPart,
  titleText,
} from './office-package.ts';
import { childOf, childrenOf, type XmlElement } from './xml-reader.ts';

/** What reading the body needs. */
interface Reading extends InlineContext {
  readonly writer: MarkdownWriter;
  readonly number: NumberParagraph;
  /** Writes the notes that have been referred to since the last call. */
  writeNotes(): void;
  /** Whether the last paragraph was an item of a list. */
  isInList: boolean;
  /** The paragraph of style "Title", once it has been read. */
  title: string | null;
  /** How far headings move down because the title stands above them. */
  headingShift: number;
}

/**
 * Reads a Word document (ECMA-376 WordprocessingML) as a stream: headings by style or outline level, lists with their
 * numbers, tables, links, equations as text; each footnote and endnote below the paragraph that refers to it. Comments,
 * deletions, hidden text, the table of contents, headers and footers are left out.
 *
 * @throws AppError `parse_failed`, `content_too_large`, `unpack_limit_exceeded`, `password_protected`.
 */
export async function loadDocx(file: PackedFile): Promise<LoadedText> {
  const part = await mainPartOf(file);
  const links = await relationshipsOf(file, part);
  const writer = createMarkdownWriter(file);
  const styleOf = await readStyles(file, partOfType(links, 'styles'));
  const notes = await readNotes(file, { links, styleOf });
  const reading: Reading = {
    ...notes,
    styleOf,
    links,
    writer,
    number: await readNumbering(file, partOfType(links, 'numbering')),
    writeNotes: () => {
      for (const note of notes.pending.splice(0)) writer.paragraph(note);
    },
    isInList: false,
    title: null,
    headingShift: 0,
  };
  await streamPart(file, part, { isUnit: isBlock, onUnit: (block) => writeBlock(block, reading) });
  reading.writeNotes();
  const { text } = writer.finish();
  const heading = /^# (.+)$/m.exec(text.slice(0, 2_000))?.[1];
  const title = reading.title ?? (heading === undefined ? null : titleText(heading)) ?? (await propertyTitle(file));
  return { title, text, layout: 'markdown' };
}

function isBlock(name: string): boolean {
  return name === 'p' || name === 'tbl';
}

/** Paragraphs and tables in an element, also within content controls and the like. */
function blocksOf(element: XmlElement): readonly XmlElement[] {
  return childrenOf(element).flatMap((child) => (isBlock(child.name) ? [child] : blocksOf(child)));
}

function writeBlock(block: XmlElement, reading: Reading): void {
  if (block.name === 'tbl') writeTable(block, reading);
  else writeParagraph(block, reading);
}

function writeParagraph(paragraph: XmlElement, reading: Reading): void {
  const { writer, styleOf, number } = reading;
  const properties = childOf(paragraph, 'pPr');
  const style = styleOf(childOf(properties, 'pStyle')?.attributes['val']);
  const isContents = /^toc \d$|^table of figures$/.test(style.name);
  if (isContents || style.isHidden) return;
  const level = outlineLevelOf(properties) ?? style.headingLevel;
  const own = numberingOf(properties);
  const reference = { id: own?.id ?? style.numbering?.id ?? null, level: own?.level ?? style.numbering?.level ?? null };
  const isItem = level === null && reference.id !== null && reference.id !== '0';
  // Notes wait for the end of their list.
  if (!isItem || !reading.isInList) reading.writeNotes();
  reading.isInList = isItem;
  const { text, boxes } = inlineText(paragraph, reading);
  // Nobody sees the number of an empty paragraph.
  const mark = text === '' ? null : number(reference);
  if (style.name === 'title' && reading.title === null && text !== '') {
    reading.title = titleText(text);
    reading.headingShift = 1;
    writer.heading(1, text);
  } else if (level !== null) {
    const printed = mark === null || mark.marker === '-' ? '' : `${mark.marker} `;
    writer.heading(level + reading.headingShift, printed + text);
  } else if (mark === null) writer.paragraph(text);
  else writer.listItem(mark.marker, mark.depth, text);
  for (const box of boxes) for (const block of blocksOf(box)) writeBlock(block, reading);
}

function writeTable(table: XmlElement, reading: Reading): void {
  reading.writeNotes();
  const rows = rowsOf(table);
  const [only] = rows;
  if (only !== undefined && rows.length === 1 && only.cells.length === 1) {
    // A frame around text, not a table.
    for (const block of only.cells.flatMap((cell) => blocksOf(cell))) writeBlock(block, reading);
    return;
  }
  reading.writer.table(gridOf(rows, (cell) => cellText(cell, reading)));
}

interface Row {
  readonly skipped: number;
  readonly cells: readonly XmlElement[];
}

function rowsOf(table: XmlElement): readonly Row[] {
  return partsOf(table, 'tr')
    .filter((row) => childOf(childOf(row, 'trPr'), 'del') === undefined)
    .map((row) => ({
      skipped: Number(childOf(childOf(row, 'trPr'), 'gridBefore')?.attributes['val'] ?? 0),
      cells: partsOf(row, 'tc'),
    }));
}

/** Rows of a table or cells of a row, also within content controls. */
function partsOf(element: XmlElement, name: 'tr' | 'tc'): readonly XmlElement[] {
  return childrenOf(element).flatMap((child) => {
    if (child.name === name) return [child];
    return /^(sdt|sdtContent|customXml|ins)$/.test(child.name) ? partsOf(child, name) : [];
  });
}

const MOST_COLUMNS = 1_000;

/** Cells that are merged downwards repeat their text in each row, those merged across stand in the first column. */
function gridOf(rows: readonly Row[], textOfCell: (cell: XmlElement) => string): readonly (readonly string[])[] {
  const above: string[] = [];
  return rows.map(({ skipped, cells }) => {
    const row: string[] = Array.from({ length: Math.min(skipped, MOST_COLUMNS) }, () => '');
    for (const cell of cells) {
      const properties = childOf(cell, 'tcPr');
      const merge = childOf(properties, 'vMerge');
      const isMergedOn = merge !== undefined && merge.attributes['val'] !== 'restart';
      const text = isMergedOn ? (above[row.length] ?? '') : textOfCell(cell);
      above[row.length] = merge === undefined ? '' : text;
      row.push(text);
      const span = Number(childOf(properties, 'gridSpan')?.attributes['val'] ?? 1);
      for (let column = 1; column < Math.min(span, MOST_COLUMNS); column += 1) row.push('');
    }
    return row;
  });
}

function cellText(cell: XmlElement, reading: Reading): string {
  const texts = blocksOf(cell).map((block) => {
    if (block.name === 'tbl') {
      return gridOf(rowsOf(block), (inner) => cellText(inner, reading))
        .map((row) => row.filter((text) => text !== '').join(', '))
        .join('; ');
    }
    const { text, boxes } = inlineText(block, reading);
    return [text, ...boxes.map((box) => cellText(box, reading))].join(' ');
  });
  return texts.join(' ');
}

/** The texts of footnotes and endnotes, numbered as they are referred to. */
async function readNotes(
  file: PackedFile,
  { links, styleOf }: Pick<InlineContext, 'links' | 'styleOf'>,
): Promise<{ readonly pending: string[] } & Pick<InlineContext, 'noteNumber'>> {
  const texts = new Map<string, string>();
  for (const kind of ['footnote', 'endnote'] as const) {
    const part = partOfType(links, `${kind}s`);
    const own = part === undefined ? new Map() : await relationshipsOf(file, part);
    const context = { styleOf, links: own, noteNumber: () => null };
    await streamPart(file, part, {
      isUnit: (name) => name === kind,
      onUnit(note) {
        const text = blocksOf(note).map((block) => inlineText(block, context).text);
        texts.set(`${kind} ${note.attributes['id'] ?? ''}`, oneLine(text.join(' ')));
      },
    });
  }
  const pending: string[] = [];
  let count = 0;
  return {
    pending,
    noteNumber(kind, id) {
      const text = texts.get(`${kind} ${id}`) ?? '';
      if (text === '') return null;
      count += 1;
      pending.push(`[^${count}]: ${text}`);
      return count;
    },
  };
}
