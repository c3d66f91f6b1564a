/** A block of Markdown: whole lines, `text.slice(start, end)`, without the line feed at its end. */
export type Block =
  | { readonly kind: 'paragraph' | 'list' | 'table' | 'fence'; readonly start: number; readonly end: number }
  | {
      readonly kind: 'heading';
      readonly start: number;
      readonly end: number;
      readonly level: number;
      readonly text: string;
    };

interface OpenBlock {
  readonly kind: 'paragraph' | 'list' | 'table' | 'fence';
  readonly start: number;
  end: number;
  lines: number;
  /** The marker that ends the fence we are in; fences also stand in lists. */
  fence: string | null;
  /** A list stays open over an empty line if what follows belongs to it. */
  afterBlank: boolean;
}

const FENCE = /^\s{0,12}(`{3,}|~{3,})/;
const HEADING = /^ {0,3}(#{1,6})(?:[ \t]+|$)/;
const UNDERLINE = /^ {0,3}(=+|-{2,})[ \t]*$/;
const LIST_ITEM = /^ {0,3}(?:[-*+]|\d{1,9}[.)])[ \t]/;
const TABLE_DELIMITER = /^[ \t]*(?:\|[ \t]*)?:?-+:?[ \t]*(?:\|[ \t]*(?::?-+:?[ \t]*)?){0,200}$/;
/** Enough of a line to tell what it starts. */
const LINE_START = 400;
const LONGEST_UNDERLINED_HEADING = 200;

/**
 * Cuts text into its blocks, in one pass over the lines. `plain` text has only paragraphs between empty lines. Headings
 * are `# ATX` and underlined ones; nested blocks stay with the list they are in.
 */
export function scanBlocks(
  text: string,
  range: { readonly start: number; readonly end: number },
  layout: 'markdown' | 'plain',
): readonly Block[] {
  const blocks: Block[] = [];
  let open: OpenBlock | null = null;
  const close = (): void => {
    if (open !== null) blocks.push({ kind: open.kind, start: open.start, end: open.end });
    open = null;
  };
  const begin = (kind: OpenBlock['kind'], line: Line, fence: string | null = null): OpenBlock => {
    close();
    return { kind, start: line.start, end: line.end, lines: 1, fence, afterBlank: false };
  };
  for (const line of linesOf(text, range)) {
    // Assigned in closures, which narrowing does not see.
    const current = open as OpenBlock | null;
    if (current !== null && current.fence !== null) {
      extend(current, line);
      if (closesFence(line.head, current.fence)) {
        current.fence = null;
        if (current.kind === 'fence') close();
      }
    } else if (line.blank) {
      if (current?.kind === 'list') current.afterBlank = true;
      else close();
    } else if (layout === 'plain') {
      if (current === null) open = begin('paragraph', line);
      else extend(current, line);
    } else if (current?.kind === 'list' && continuesList(current, line)) {
      extend(current, line);
      current.fence = fenceMarker(line.head);
    } else {
      const heading = headingOf(text, line) ?? (current?.kind === 'paragraph' ? underlined(text, current, line) : null);
      if (heading !== null) {
        if (heading.start === current?.start) open = null;
        close();
        blocks.push(heading);
      } else {
        const kind = kindOf(text, line, current);
        if (current?.kind === kind && kind !== 'fence') extend(current, line);
        else open = begin(kind, line, kind === 'fence' ? fenceMarker(line.head) : null);
      }
    }
  }
  close();
  return blocks;
}

interface Line {
  readonly start: number;
  readonly end: number;
  readonly head: string;
  readonly blank: boolean;
}

function* linesOf(text: string, range: { readonly start: number; readonly end: number }): Generator<Line> {
  for (let start = range.start; start < range.end; ) {
    const feed = text.indexOf('\n', start);
    const end = feed < 0 || feed > range.end ? range.end : feed;
    const head = text.slice(start, Math.min(end, start + LINE_START));
    yield { start, end, head, blank: head.trim() === '' && text.slice(start, end).trim() === '' };
    start = end + 1;
  }
}

function extend(block: OpenBlock, line: Line): void {
  block.end = line.end;
  block.lines += 1;
  block.afterBlank = false;
}

function continuesList(list: OpenBlock, line: Line): boolean {
  if (LIST_ITEM.test(line.head) || /^(?: {2,}|\t)/.test(line.head)) return true;
  return !list.afterBlank && !HEADING.test(line.head) && fenceMarker(line.head) === null;
}

function kindOf(text: string, line: Line, open: OpenBlock | null): OpenBlock['kind'] {
  if (fenceMarker(line.head) !== null) return 'fence';
  if (LIST_ITEM.test(line.head)) return 'list';
  if (line.head.includes('|')) {
    if (open?.kind === 'table') return 'table';
    const next = text.slice(line.end + 1, line.end + 1 + LINE_START).split('\n', 1)[0] ?? '';
    if (next.includes('-') && TABLE_DELIMITER.test(next)) return 'table';
  }
  return 'paragraph';
}

function fenceMarker(head: string): string | null {
  const marker = FENCE.exec(head)?.[1];
  if (marker === undefined) return null;
  const closesItself = marker.startsWith('`') && head.indexOf('`', head.indexOf(marker) + marker.length) >= 0;
  return closesItself ? null : marker;
}

function closesFence(head: string, marker: string): boolean {
  const trimmed = head.trim();
  return trimmed.startsWith(marker) && /^(?:`+|~+)$/.test(trimmed);
}

function headingOf(text: string, line: Line): Extract<Block, { kind: 'heading' }> | null {
  const marks = HEADING.exec(line.head);
  if (marks === null) return null;
  const words = text.slice(line.start + marks[0].length, line.end).replace(/(?<![ \t])[ \t]+#+[ \t]*$/, '');
  return { kind: 'heading', start: line.start, end: line.end, level: marks[1]?.length ?? 1, text: words };
}

function underlined(text: string, paragraph: OpenBlock, line: Line): Extract<Block, { kind: 'heading' }> | null {
  const underline = UNDERLINE.exec(line.head)?.[1];
  if (underline === undefined || paragraph.lines > 1) return null;
  if (paragraph.end - paragraph.start > LONGEST_UNDERLINED_HEADING) return null;
  return {
    kind: 'heading',
    start: paragraph.start,
    end: line.end,
    level: underline.startsWith('=') ? 1 : 2,
    text: text.slice(paragraph.start, paragraph.end),
  };
}
