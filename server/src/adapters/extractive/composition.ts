import type { EvidenceStatement } from './evidence.ts';
import type { AnswerPart } from './selection.ts';

/** Writes the parts as Markdown: prose joined into paragraphs by passage, lists below their lead, `[n]` after each statement. */
export function composeAnswer(parts: readonly AnswerPart[]): string {
  const blocks: string[] = [];
  let previous: AnswerPart | null = null;
  for (const part of parts) {
    const text = part.layout === 'prose' ? proseOf(part) : listOf(part);
    const joins = previous?.layout === 'prose' && part.layout === 'prose' && previous.evidence === part.evidence;
    if (joins) blocks.push(`${blocks.pop() ?? ''} ${text}`);
    else blocks.push(text);
    previous = part;
  }
  return blocks.join('\n\n');
}

function proseOf(part: AnswerPart): string {
  const marker = `[${part.evidence.passage.index}]`;
  if (part.statements.some(({ statement }) => statement.kind === 'table-row')) {
    return part.statements.map((row) => closed(rowText(row, part.lead), marker)).join(' ');
  }
  return part.statements.map((statement) => closed(capitalised(statement.text), marker)).join(' ');
}

function listOf(part: AnswerPart): string {
  const marker = `[${part.evidence.passage.index}]`;
  const lines: string[] = [];
  if (part.lead !== null) {
    const announcesCode = part.statements[0]?.statement.kind === 'code';
    lines.push(announcesCode ? announcement(part.lead.text, marker) : capitalised(part.lead.text), '');
  }
  const items = itemsOf(part.statements);
  const standsAlone = items.length === 1 && part.lead === null;
  for (const [position, item] of items.entries()) {
    const sign = standsAlone ? '' : part.layout === 'steps' ? `${position + 1}. ` : '- ';
    const sentences = item.filter(({ statement }) => statement.kind !== 'code').map(({ text }) => text);
    const code = item.filter(({ statement }) => statement.kind === 'code').map((block) => codeOf(block, part));
    if (sentences.length > 0) lines.push(`${sign}${closedItem(sentences.join(' '), marker)}`);
    lines.push(...code);
  }
  return lines.join('\n');
}

/** Statements grouped by list item; code belongs to the item before it. */
function itemsOf(statements: readonly EvidenceStatement[]): EvidenceStatement[][] {
  const items: EvidenceStatement[][] = [];
  for (const statement of statements) {
    if (statement.statement.marker !== '' || items.length === 0) items.push([statement]);
    else items.at(-1)?.push(statement);
  }
  return items;
}

function codeOf({ statement }: EvidenceStatement, part: AnswerPart): string {
  return part.evidence.passage.text.slice(statement.start, statement.end).replace(/^[ \t]+/gmu, '');
}

/** `header: cell` pairs, or the cells alone when the header is not in the passage. */
function rowText(row: EvidenceStatement, header: EvidenceStatement | null): string {
  const cells = cellsOf(row.text);
  const names = header === null ? [] : cellsOf(header.text);
  if (names.length === 2 && cells.length === 2) return cells.join(': ');
  return cells
    .map((cell, column) => (cell === '' ? '' : names[column] ? `${names[column]}: ${cell}` : cell))
    .filter((cell) => cell !== '')
    .join('; ');
}

function cellsOf(row: string): string[] {
  return row
    .replace(/^\||\|$/gu, '')
    .split('|')
    .map((cell) => cell.trim().replace(/\.$/u, ''));
}

/** A sentence with its marker before the full stop, which is added where one is missing. */
function closed(text: string, marker: string): string {
  if (/[!?…]["'”’)]*$|[.]["'”’)]+$/u.test(text)) return `${text} ${marker}`;
  return `${text.replace(/[.;,:]+$/u, '')} ${marker}.`;
}

function closedItem(text: string, marker: string): string {
  if (text.endsWith(':')) return announcement(text, marker);
  return text.endsWith('.') ? closed(text, marker) : `${text.replace(/[;,]$|(?:,| and| or)$/u, '')} ${marker}`;
}

function announcement(text: string, marker: string): string {
  return `${capitalised(text).replace(/\s*:$/u, '')} ${marker}:`;
}

function capitalised(text: string): string {
  return /^[a-z][a-z]/u.test(text) ? text.charAt(0).toUpperCase() + text.slice(1) : text;
}
