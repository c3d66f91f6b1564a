import { splitSentences, type TextSpan } from './sentences.ts';

export type StatementKind = 'heading' | 'sentence' | 'list-item' | 'table-header' | 'table-row' | 'code';

/** A part of a passage that can be quoted by itself: `passage.slice(start, end)` without list marker or heading sign. */
export interface Statement extends TextSpan {
  readonly kind: StatementKind;
  /** Statements of one paragraph, one list or one table share a number. */
  readonly block: number;
  /** Heading level (1-6), nesting of a list item (0, 1 ...), else 0. */
  readonly depth: number;
  /** `1.` or `-` on the first sentence of a list item, else empty. */
  readonly marker: string;
}

interface Line extends TextSpan {
  readonly text: string;
}

interface OpenBlock {
  readonly kind: 'paragraph' | 'item';
  readonly depth: number;
  readonly marker: string;
  start: number;
  end: number;
}

const HEADING = /^ {0,3}(#{1,6})[ \t]+(.*?)[ \t]*#*[ \t]*$/u;
const FENCE = /^[ \t]*(`{3,}|~{3,})/u;
const LIST_ITEM = /^([ \t]*)([-*+•‣◦]|\d{1,3}[.)]|[a-zA-Z][.)])[ \t]+(?=\S)/u;
const TABLE_LINE = /^\s*\|.*\|\s*$/u;
const TABLE_RULE = /^\s*\|?(?:\s*:?-{2,}:?\s*\|)+\s*:?-*:?\s*\|?\s*$/u;
/** A line of nothing but a template tag, an HTML tag, an image or a rule. */
const DECORATION =
  /^[\s>]*(?:|\{%[^%]*%\}|<\/?[a-zA-Z][^>]*>|<!--.*-->|!\[[^\]]*\]\([^)]*\)|[-*_=](?:\s*[-*_=]){2,})\s*$/u;

/** Cuts a passage of Markdown or plain text into its statements, in order. Spans never overlap. */
export function splitStatements(passage: string): Statement[] {
  return new StatementReader(passage).read();
}

class StatementReader {
  readonly #passage: string;
  readonly #statements: Statement[] = [];
  #block = 0;
  #open: OpenBlock | null = null;
  #fence: { readonly sign: string; readonly start: number } | null = null;
  #inList = false;
  #afterBlank = false;

  constructor(passage: string) {
    this.#passage = passage;
  }

  read(): Statement[] {
    const lines = linesOf(this.#passage);
    for (const [position, line] of lines.entries()) this.#readLine(line, lines[position + 1]);
    this.#close();
    if (this.#fence !== null) this.#add('code', { start: this.#fence.start, end: this.#passage.trimEnd().length });
    return this.#statements;
  }

  #readLine(line: Line, next: Line | undefined): void {
    if (this.#readFence(line)) return;
    if (line.text.trim() === '') {
      this.#close();
      this.#afterBlank = true;
      return;
    }
    if (!this.#readTable(line, next) && !this.#readHeading(line) && !this.#readListItem(line)) this.#readText(line);
    this.#afterBlank = false;
  }

  #readFence(line: Line): boolean {
    const sign = FENCE.exec(line.text)?.[1];
    if (this.#fence === null) {
      if (sign === undefined) return false;
      this.#close();
      if (!this.#inList || !/^[ \t]{2}/u.test(line.text)) this.#beginBlock();
      this.#fence = { sign, start: line.start + line.text.indexOf(sign) };
      return true;
    }
    if (sign?.startsWith(this.#fence.sign) === true && line.text.trim() === sign) {
      this.#add('code', { start: this.#fence.start, end: line.start + line.text.trimEnd().length });
      this.#fence = null;
    }
    return true;
  }

  #readTable(line: Line, next: Line | undefined): boolean {
    if (!TABLE_LINE.test(line.text) && !TABLE_RULE.test(line.text)) return false;
    const continues = this.#statements.at(-1)?.kind.startsWith('table') === true && this.#open === null;
    this.#close();
    if (TABLE_RULE.test(line.text)) return true;
    const isHeader = next !== undefined && TABLE_RULE.test(next.text);
    if (isHeader || !continues || this.#afterBlank) this.#beginBlock();
    this.#add(isHeader ? 'table-header' : 'table-row', trimmed(this.#passage, line));
    return true;
  }

  #readHeading(line: Line): boolean {
    const heading = HEADING.exec(line.text);
    if (heading === null) return false;
    this.#close();
    this.#beginBlock();
    const content = heading[2] ?? '';
    const start = line.start + line.text.indexOf(content, (heading[1] ?? '').length);
    if (content !== '') this.#add('heading', { start, end: start + content.length }, (heading[1] ?? '#').length);
    return true;
  }

  #readListItem(line: Line): boolean {
    const item = LIST_ITEM.exec(line.text);
    if (item === null) return false;
    const [prefix, indent = '', marker = ''] = item;
    this.#close();
    if (!this.#inList) this.#beginBlock();
    this.#inList = true;
    const depth = Math.floor(indent.replaceAll('\t', '    ').length / 2);
    this.#open = { kind: 'item', depth, marker, start: line.start + prefix.length, end: line.end };
    return true;
  }

  #readText(line: Line): void {
    if (DECORATION.test(line.text)) {
      this.#close();
      return;
    }
    if (this.#open !== null) {
      this.#open.end = line.end;
      return;
    }
    const continuesItem = this.#inList && /^[ \t]{2,}/u.test(line.text);
    if (!continuesItem) {
      this.#beginBlock();
    }
    const depth = continuesItem ? (this.#statements.at(-1)?.depth ?? 0) : 0;
    this.#open = { kind: continuesItem ? 'item' : 'paragraph', depth, marker: '', start: line.start, end: line.end };
  }

  #beginBlock(): void {
    this.#block += 1;
    this.#inList = false;
  }

  #close(): void {
    const open = this.#open;
    this.#open = null;
    if (open === null) return;
    const kind = open.kind === 'item' ? 'list-item' : 'sentence';
    for (const [position, span] of splitSentences(this.#passage, open).entries()) {
      this.#statements.push({
        kind,
        ...span,
        block: this.#block,
        depth: open.depth,
        marker: position === 0 ? open.marker : '',
      });
    }
  }

  #add(kind: StatementKind, span: TextSpan, depth = 0): void {
    this.#statements.push({ kind, start: span.start, end: span.end, block: this.#block, depth, marker: '' });
  }
}

function linesOf(text: string): Line[] {
  const lines: Line[] = [];
  let start = 0;
  for (const piece of text.split('\n')) {
    lines.push({ text: piece, start, end: start + piece.length });
    start += piece.length + 1;
  }
  return lines;
}

function trimmed(text: string, span: TextSpan): TextSpan {
  const content = text.slice(span.start, span.end);
  const start = span.start + (content.length - content.trimStart().length);
  return { start, end: start + content.trim().length };
}
