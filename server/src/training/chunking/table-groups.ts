import type { TokenCounter } from '../../llm/index.ts';
import type { LoadedText } from '../loaders/loaded-text.ts';
import { scanBlocks } from './block-scanner.ts';
import { columnGroups, type Table, tableLines } from './table-rows.ts';

export interface TableGroupOptions {
  readonly tokens: TokenCounter;
  /** The size that groups aim at, header and caption counted: that of a chunk. */
  readonly groupTokens: number;
}

const CAPTION =
  /^[*_]{0,3}(?:table|tab\.|tabelle|tableau|tabla|tabella|exhibit|schedule|annex|sheet)[ \u00A0]+[\p{L}\d]/iu;
const LONGEST_CAPTION = 200;
/** Shorter tables fit into any chunk. */
const SURELY_SHORT = 300;

/** Whether a line is a caption as tables have them: "Table 3: Fees". */
export function isCaption(line: string): boolean {
  return line.length <= LONGEST_CAPTION && !line.includes('\n') && CAPTION.test(line);
}

/** An edit of the text, with places of the old text and where they are now. */
interface Rewrite {
  readonly start: number;
  readonly end: number;
  readonly text: string;
  readonly places: readonly { readonly from: number; readonly to: number }[];
}

/**
 * Rewrites Markdown tables that are too long for a chunk into groups of rows, each a table of its own under the same
 * header and caption, so that whatever is cut off from the rest still says what its cells mean. Tables too wide for that
 * are also divided by columns, with the first column kept. What fits stays as it is.
 */
export function groupLongTables<Text extends LoadedText>(loaded: Text, options: TableGroupOptions): Text {
  const { text, layout } = loaded;
  if (layout !== 'markdown' || !text.includes('|')) return loaded;
  const rewrites = rewritesOf(text, options);
  if (rewrites.length === 0) return loaded;
  const parts: string[] = [];
  const places: { from: number; to: number }[] = [{ from: 0, to: 0 }];
  let position = 0;
  let length = 0;
  for (const rewrite of rewrites) {
    length += rewrite.start - position;
    parts.push(text.slice(position, rewrite.start), rewrite.text);
    for (const { from, to } of rewrite.places) places.push({ from, to: length + to });
    length += rewrite.text.length;
    position = rewrite.end;
    places.push({ from: position, to: length });
  }
  parts.push(text.slice(position));
  return { ...loaded, ...movedOffsets(loaded, places), text: parts.join('') };
}

function rewritesOf(text: string, options: TableGroupOptions): readonly Rewrite[] {
  const blocks = scanBlocks(text, { start: 0, end: text.length }, 'markdown');
  return blocks.flatMap((block, position): Rewrite[] => {
    if (block.kind !== 'table' || block.end - block.start < SURELY_SHORT) return [];
    const above = blocks[position - 1];
    const line = above?.kind === 'paragraph' ? text.slice(above.start, above.end).trim() : '';
    const table = tableLines(text, block, isCaption(line) ? line : null);
    const rewrite = table === null ? null : groupsOf(table, options);
    return rewrite === null ? [] : [{ start: block.start, end: block.end, ...rewrite }];
  });
}

/** Null when the whole table fits into one group. */
function groupsOf(table: Table, { tokens, groupTokens }: TableGroupOptions): Pick<Rewrite, 'text' | 'places'> | null {
  const costs = table.rows.map(({ text }) => tokens.count(text));
  const total = costs.reduce((sum, cost) => sum + cost, tokens.count(table.header));
  if (total <= groupTokens) return null;
  const parts = columnGroups(table, { tokens, mostTokens: groupTokens / 2 });
  const pieces: string[] = [];
  const places: { from: number; to: number }[] = [];
  let length = 0;
  for (const [number, part] of parts.entries()) {
    const lead = table.caption === null ? part.header : `${table.caption}\n\n${part.header}`;
    // The caption of the first group stands above the table already.
    let open = number === 0 ? part.header : lead;
    let filled = tokens.count(lead);
    let rows = 0;
    for (const [place, row] of part.rows.entries()) {
      const cost = part === table ? (costs[place] ?? 0) : tokens.count(row.text);
      if (rows > 0 && filled + cost + 1 > groupTokens) {
        pieces.push(open);
        length += open.length + 2;
        open = lead;
        filled = tokens.count(lead);
        rows = 0;
      }
      if (number === 0) places.push({ from: row.start, to: length + open.length + 1 });
      open += `\n${row.text}`;
      filled += cost + 1;
      rows += 1;
    }
    pieces.push(open);
    length += open.length + 2;
  }
  return { text: pieces.join('\n\n'), places };
}

function movedOffsets(
  { pageStarts, sections }: LoadedText,
  places: readonly { readonly from: number; readonly to: number }[],
): Pick<LoadedText, 'pageStarts' | 'sections'> {
  const moved = (offset: number): number => {
    let low = 0;
    let high = places.length;
    while (low + 1 < high) {
      const middle = (low + high) >> 1;
      if ((places[middle]?.from ?? 0) <= offset) low = middle;
      else high = middle;
    }
    const place = places[low];
    return place === undefined ? offset : place.to + offset - place.from;
  };
  return {
    ...(pageStarts === undefined ? {} : { pageStarts: pageStarts.map(moved) }),
    ...(sections === undefined
      ? {}
      : {
          sections: sections.map((section) => ({ ...section, start: moved(section.start), end: moved(section.end) })),
        }),
  };
}
