import { AppError } from '../../../kernel/index.ts';
import { pipeTable } from '../pipe-table.ts';
import { cleanText } from '../text-cleaning.ts';

/** Writes cleaned Markdown block by block; consecutive list items make one list. */
export interface MarkdownWriter {
  /** @throws AppError `content_too_large`, as all others do, when the text grows too long. */
  paragraph(text: string): void;
  /** `level` 1 is the highest; those below 6 are written as 6. Nothing for an empty text. */
  heading(level: number, text: string): void;
  /** `marker` is "-", "1." or whatever the list shows; `depth` 0 is the outermost. */
  listItem(marker: string, depth: number, text: string): void;
  /** The first row is the header. */
  table(rows: readonly (readonly string[])[]): void;
  /** The next page or slide begins here. */
  page(): void;
  /** What has been written, with the start of each page if there are any. */
  finish(): { readonly text: string; readonly pageStarts?: readonly number[] };
}

const INDENT = '   ';
const DEEPEST_ITEM = 8;

/** `name` is the input's, for errors; `maxCharacters` in UTF-16 units. */
export function createMarkdownWriter(limits: {
  readonly name: string;
  readonly maxCharacters: number;
}): MarkdownWriter {
  const blocks: string[] = [];
  const pageStarts: number[] = [];
  let length = 0;
  let items: string[] = [];
  const add = (block: string): void => {
    if (block === '') return;
    blocks.push(block);
    length += block.length + 2;
    if (length > limits.maxCharacters + 2) throw tooLong(limits);
  };
  const endList = (): void => {
    if (items.length === 0) return;
    const list = items.join('\n');
    items = [];
    add(cleanText(list));
  };
  const block = (text: string): void => {
    endList();
    add(text);
  };
  return {
    paragraph: (text) => block(cleanText(text)),
    heading(level, text) {
      const line = oneLine(text);
      if (line !== '') block(`${'#'.repeat(Math.min(6, Math.max(1, level)))} ${line}`);
    },
    listItem(marker, depth, text) {
      const item = cleanText(text);
      if (item === '') return;
      const indent = INDENT.repeat(Math.min(depth, DEEPEST_ITEM));
      items.push(`${indent}${marker} ${item.replace(/\n+/g, `\n${indent}${INDENT}`)}`);
    },
    table: (rows) => block(pipeTable(rows)),
    page() {
      endList();
      pageStarts.push(length);
    },
    finish() {
      endList();
      const text = blocks.join('\n\n');
      if (pageStarts.length === 0) return { text };
      return { text, pageStarts: pageStarts.map((start) => Math.min(start, text.length)) };
    },
  };
}

export function oneLine(text: string): string {
  return cleanText(text).replace(/\s+/g, ' ');
}

export function tooLong({ name, maxCharacters }: { readonly name: string; readonly maxCharacters: number }): AppError {
  return new AppError(
    'content_too_large',
    `"${name}" holds more than ${maxCharacters} characters. Split it into smaller files.`,
  );
}
