import type { PageText } from './pdf-furniture.ts';
import { type DocumentStyle, joinText, type TextBlock, textBlocks } from './pdf-paragraphs.ts';
import { regionsOf } from './pdf-regions.ts';
import { type Column, findTables, type Table } from './pdf-tables.ts';
import { pipeTable } from './pipe-table.ts';
import { cleanText } from './text-cleaning.ts';

type PageBlock = TextBlock | TableBlock;

interface TableBlock {
  readonly kind: 'table';
  /** The rows as lines of Markdown, header first. */
  readonly lines: readonly string[];
  readonly columns: readonly Column[];
}

/** Most rows of a form begin with a label. */
const FORM_SHARE = 0.6;

/** Writes pages, in order from `firstPage`, as one Markdown text; paragraphs and tables go on over the end of a page. */
export function createPageWriter(
  style: DocumentStyle,
  firstPage = 1,
): {
  add(page: PageText): void;
  /** UTF-16 units so far. */
  length(): number;
  finish(): { readonly text: string; readonly pageStarts: readonly number[] };
} {
  const parts: string[] = [];
  const pageStarts: number[] = Array.from({ length: firstPage - 1 }, () => 0);
  let length = 0;
  let pagesWaiting = 0;
  let last: PageBlock | null = null;

  function append(text: string): void {
    parts.push(text);
    length += text.length;
  }

  function startPages(offset: number): void {
    for (; pagesWaiting > 0; pagesWaiting -= 1) pageStarts.push(offset);
  }

  function write(block: PageBlock, first: boolean): void {
    const rest = last === null ? null : continuation(last, block, { style, first });
    if (rest !== null) {
      // What is joined to a word without its hyphen takes a character back.
      for (let taken = rest.take; taken > 0; taken -= 1) takeBack();
      startPages(length + rest.text.length - rest.text.trimStart().length);
      append(rest.text);
    } else {
      if (last !== null) append(last.kind === 'item' && block.kind === 'item' ? '\n' : '\n\n');
      startPages(length);
      append(block.kind === 'table' ? block.lines.join('\n') : block.text);
    }
    last = block;
  }

  function takeBack(): void {
    const end = parts.pop() ?? '';
    length -= 1;
    parts.push(end.slice(0, -1));
  }

  return {
    add(page) {
      pagesWaiting += 1;
      blocksOf(page, style).forEach((block, index) => {
        write(block, index === 0);
      });
    },
    length: () => length,
    finish() {
      startPages(length);
      return { text: parts.join(''), pageStarts };
    },
  };
}

/** What to write when the block goes on with the one before it, and how many characters of that one to take back first. */
function continuation(
  last: PageBlock,
  block: PageBlock,
  { style, first }: { readonly style: DocumentStyle; readonly first: boolean },
): { readonly text: string; readonly take: number } | null {
  if (last.kind === 'table' || block.kind === 'table') {
    if (!first || last.kind !== 'table' || block.kind !== 'table' || !sameColumns(last, block)) return null;
    const [header, delimiter, ...rows] = block.lines;
    const more = header === last.lines[0] ? rows : [header, ...rows];
    return more.length === 0 || delimiter === undefined ? null : { text: `\n${more.join('\n')}`, take: 0 };
  }
  if (block.kind !== 'paragraph' || last.kind === 'heading' || !last.open || !/^\p{Ll}/u.test(block.text)) return null;
  const end = last.text.slice(-100);
  const joined = joinText(end, block.text, style);
  const kept = joined.length - block.text.length;
  return kept >= end.length
    ? { text: joined.slice(end.length), take: 0 }
    : { text: block.text, take: end.length - kept };
}

function sameColumns(one: TableBlock, other: TableBlock): boolean {
  return (
    one.columns.length === other.columns.length &&
    one.columns.every(({ x0, x1 }, at) => {
      const column = other.columns[at];
      return column !== undefined && Math.min(x1, column.x1) > Math.max(x0, column.x0);
    })
  );
}

function blocksOf({ segments, asides }: PageText, style: DocumentStyle): readonly PageBlock[] {
  const main = regionsOf(segments).flatMap((region) => {
    const parts = findTables(region.segments);
    return parts.flatMap((part, index): readonly PageBlock[] => {
      if (part.kind === 'table') return tableBlocks(part);
      return textBlocks(part.rows, { ...region, style, beforeTable: parts[index + 1]?.kind === 'table' }).map(cleaned);
    });
  });
  const rows = asides.map((aside) => [aside]);
  const margins = { left: Number.NEGATIVE_INFINITY, right: Number.POSITIVE_INFINITY };
  return [...main, ...textBlocks(rows, { ...margins, style, beforeTable: false }).map(cleaned)].filter(isFilled);
}

function cleaned(block: TextBlock): TextBlock {
  return { ...block, text: cleanText(block.text) };
}

function isFilled(block: PageBlock): boolean {
  return block.kind === 'table' || block.text !== '';
}

/** A pipe table, or a list when the rows are labels with their values: those have no header. */
function tableBlocks({ rows, columns }: Table): readonly PageBlock[] {
  const labelled = rows.filter((row) => row.find((cell) => cell !== '')?.endsWith(':')).length;
  if (labelled >= FORM_SHARE * rows.length) {
    return rows.map((row) => ({ kind: 'item', text: cleanText(`- ${formLine(row)}`), open: false }));
  }
  return [{ kind: 'table', lines: pipeTable(rows).split('\n'), columns }];
}

/** `Label: value · Label: value` */
function formLine(row: readonly string[]): string {
  return row
    .filter((cell) => cell !== '')
    .reduce((line, cell) => (line === '' ? cell : line + (line.endsWith(':') ? ' ' : ' · ') + cell), '');
}
