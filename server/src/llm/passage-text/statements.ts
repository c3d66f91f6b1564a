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

const HEADING = /^ {0,3}(#{1,6})[ \t]+(?=[^ \t]|$)/u;
const FENCE = /^[ \t]*(`{3,}|~{3,})/u;
const LIST_ITEM = /^([ \t]*)([-*+•‣◦]|\d{1,3}[.)]|[a-zA-Z][.)])[ \t]+(?=\S)/u;
const RULE_CELL = /^:?-{2,}:?$/u;
const LAST_RULE_CELL = /^:?-*:?$/u;
/** Nothing but a template tag, an HTML tag, an image or a rule. */
const DECORATION = /^(?:|\{%[^%]*%\}|<\/?[a-zA-Z][^>]*>|<!--.*-->|!\[[^\]]*\]\([^)]*\)|[-*_=](?:\s*[-*_=]){2,})$/u;

/** Cuts a passage of Markdown or plain text into its statements, in order, in linear time. Spans never overlap. */
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
    const isRule = isTableRule(line.text);
    if (!isRule && !isTableLine(line.text)) return false;
    const continues = this.#statements.at(-1)?.kind.startsWith('table') === true && this.#open === null;
    this.#close();
    if (isRule) return true;
    const isHeader = next !== undefined && isTableRule(next.text);
    if (isHeader || !continues || this.#afterBlank) this.#beginBlock();
    this.#add(isHeader ? 'table-header' : 'table-row', trimmed(this.#passage, line));
    return true;
  }

  #readHeading(line: Line): boolean {
    const heading = HEADING.exec(line.text);
    if (heading === null) return false;
    this.#close();
    this.#beginBlock();
    const [prefix] = heading;
    const content = line.text
      .slice(prefix.length)
      .trimEnd()
      .replace(/(?<!#)#+$/u, '')
      .trimEnd();
    const start = line.start + prefix.length;
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
    if (isDecoration(line.text)) {
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

function isTableLine(line: string): boolean {
  const text = line.trim();
  return text.length > 1 && text.startsWith('|') && text.endsWith('|');
}

/** The line between a table's header and its rows: `| --- | :-: |`. */
function isTableRule(line: string): boolean {
  const text = line.trim();
  if (!text.includes('--')) return false;
  const inner = text.slice(text.startsWith('|') ? 1 : 0, text.endsWith('|') ? -1 : undefined);
  const cells = inner.split('|').map((cell) => cell.trim());
  const last = cells.pop() ?? '';
  if (cells.length === 0) return text.endsWith('|') && RULE_CELL.test(last);
  return cells.every((cell) => RULE_CELL.test(cell)) && LAST_RULE_CELL.test(last);
}

function isDecoration(line: string): boolean {
  return DECORATION.test(line.replace(/^[\s>]+/u, '').trimEnd());
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
