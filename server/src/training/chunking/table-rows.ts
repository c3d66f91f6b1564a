import type { TokenCounter } from '../../llm/index.ts';

export interface Table {
  /** "Table 3: Fees", when such a line stands directly above. */
  readonly caption: string | null;
  /** The header and the line below it. */
  readonly header: string;
  readonly rows: readonly TableRow[];
}

export interface TableRow {
  /** Where it stood. */
  readonly start: number;
  readonly text: string;
}

const LONGEST_HEADER_CELL = 100;

/** The lines of a table block. Null for one without rows. */
export function tableLines(
  text: string,
  { start, end }: { readonly start: number; readonly end: number },
  caption: string | null,
): Table | null {
  const lines: TableRow[] = [];
  for (let position = start; position < end; ) {
    const feed = text.indexOf('\n', position);
    const stop = feed < 0 || feed > end ? end : feed;
    lines.push({ start: position, text: text.slice(position, stop) });
    position = stop + 1;
  }
  const [header, delimiter, ...rows] = lines;
  if (header === undefined || delimiter === undefined || rows.length === 0) return null;
  return { caption, header: `${header.text}\n${delimiter.text}`, rows };
}

/**
 * The table itself when its header has room; else tables of some of its columns each, all with the first one. Names of
 * columns are shortened then.
 */
export function columnGroups(
  table: Table,
  { tokens, mostTokens }: { readonly tokens: TokenCounter; readonly mostTokens: number },
): readonly Table[] {
  if (tokens.count(table.header) <= mostTokens) return [table];
  const names = cellsOf(table.header.split('\n', 1)[0] ?? '').map(shortened);
  if (names.length < 2) return [table];
  const costs = names.map((name) => tokens.count(name) + 5);
  const groups: number[][] = [];
  let filled = Number.POSITIVE_INFINITY;
  for (let column = 1; column < names.length; column += 1) {
    if (filled + (costs[column] ?? 0) > mostTokens) {
      groups.push([0]);
      filled = costs[0] ?? 0;
    }
    groups.at(-1)?.push(column);
    filled += costs[column] ?? 0;
  }
  const cells = table.rows.map((row) => cellsOf(row.text));
  return groups.map((columns) => ({
    caption: table.caption,
    header: `${rowOf(columns.map((column) => names[column] ?? ''))}\n${rowOf(columns.map(() => '---'))}`,
    rows: table.rows.map(({ start }, row) => ({
      start,
      text: rowOf(columns.map((column) => cells[row]?.[column] ?? '')),
    })),
  }));
}

function rowOf(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`;
}

/** The cells of a row; a pipe behind a backslash belongs to its cell. */
function cellsOf(row: string): readonly string[] {
  const trimmed = row
    .trim()
    .replace(/^\|/, '')
    .replace(/(?<!\\)\|$/, '');
  return trimmed.split(/(?<!\\)\|/).map((cell) => cell.trim());
}

function shortened(name: string): string {
  return name.length <= LONGEST_HEADER_CELL
    ? name
    : `${name.slice(0, LONGEST_HEADER_CELL).replace(/\p{Surrogate}$/u, '')}…`;
}
