import { linked } from './office-links.ts';
import { childOf, childrenOf, type XmlElement } from './xml-reader.ts';

/** What the text of a paragraph depends on. */
export interface InlineContext {
  isHidden(style: string | undefined): boolean;
  /** Takes the text of a note and gives its number. */
  addNote(body: XmlElement | undefined): number;
}

export interface InlineText {
  readonly text: string;
  /** Text boxes that are anchored in it. */
  readonly boxes: readonly XmlElement[];
}

/** Comments, hidden text, reading aids, and names and descriptions of drawings. */
const UNREAD = new Set(['annotation', 'hidden-text', 'hidden-paragraph', 'ruby-text', 'title', 'desc', 'script']);

/** The text of an OpenDocument paragraph as its reader sees it, with notes as `[^1]`. */
export function inlineText(paragraph: XmlElement, context: InlineContext): InlineText {
  const boxes: XmlElement[] = [];
  const read = (element: XmlElement): string => {
    if (UNREAD.has(element.name) || context.isHidden(element.attributes['style-name'])) return '';
    switch (element.name) {
      case 's':
      case 'tab':
        return ' ';
      case 'line-break':
        return '\n';
      case 'a':
        return linked(readChildren(element), { target: element.attributes['href'] ?? '', isExternal: true });
      case 'note':
        return `[^${context.addNote(childOf(element, 'note-body'))}]`;
      case 'text-box':
        boxes.push(element);
        return '';
      default:
        return readChildren(element);
    }
  };
  const readChildren = (element: XmlElement): string =>
    element.children.map((child) => (typeof child === 'string' ? child.replace(/\s+/g, ' ') : read(child))).join('');
  return { text: readChildren(paragraph).replace(/ {2,}/g, ' ').trim(), boxes };
}

/** Rows of a table, also those in groups and headers. */
export function rowsOf(table: XmlElement): readonly XmlElement[] {
  return childrenOf(table).flatMap((child) => {
    if (child.name === 'table-row') return [child];
    return /^table-(?:header-rows|rows|row-group)$/.test(child.name) ? rowsOf(child) : [];
  });
}

/** A cell where it stands; `down` rows below it are merged with it. */
export interface PlacedCell {
  readonly column: number;
  readonly cell: XmlElement;
  readonly down: number;
}

const MOST_COLUMNS = 16_384;
const MOST_REPEATS = 1_000;

/** Cells of a row that may hold something, repeated ones each by itself, those covered by merged ones left out. */
export function cellsOf(row: XmlElement): readonly PlacedCell[] {
  const cells: PlacedCell[] = [];
  let column = 0;
  for (const cell of childrenOf(row)) {
    const repeats = Math.max(1, Number(cell.attributes['number-columns-repeated'] ?? 1));
    if (cell.name === 'table-cell' && cell.children.length > 0) {
      const down = Number(cell.attributes['number-rows-spanned'] ?? 1) - 1;
      for (let repeat = 0; repeat < Math.min(repeats, MOST_REPEATS); repeat += 1) {
        if (column + repeat < MOST_COLUMNS) cells.push({ column: column + repeat, cell, down });
      }
    }
    column += repeats;
  }
  return cells;
}
