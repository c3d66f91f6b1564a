import { clusterRows, type Placed } from './pdf-fragments.ts';

/** A page as it was read, before it is put in reading order. */
export interface PageText {
  /** From 1. */
  readonly number: number;
  /** Text in the direction that most of the page is written in. */
  readonly segments: readonly Placed[];
  /** Text in other directions: stamps along the margin, watermarks. */
  readonly asides: readonly Placed[];
}

/** Pages before and after one that its edges are compared with. */
const REACH = 4;
/** Rows at the top and at the bottom of a page that may be running headers and footers. */
const EDGE_ROWS = 3;
/** A row that stands on this many of the pages around is furniture. */
const LEAST_REPEATS = 3;
const SAME_PLACE = 4;
const PAGE_NUMBER =
  /^(?:(?:page|seite|página|pagina|p\.|s\.)\s*)?[-–—[|]?\s*#(?:\s*(?:\/|of|von|de|di|sur)\s*#)?\s*[-–—\]|]?$/;
const ROMAN: Readonly<Record<string, number>> = { i: 1, v: 5, x: 10, l: 50, c: 100 };

interface Edge {
  readonly y: number;
  /** The text with `#` for its numbers. */
  readonly shape: string;
  readonly numbers: readonly number[];
  readonly segments: readonly Placed[];
}

interface Waiting {
  readonly page: PageText;
  readonly edges: readonly Edge[];
}

/**
 * Takes running headers, running footers and page numbers out of a stream of pages: rows at the edge of a page that
 * stand at the same height on most pages around it, equal but for numbers that count with the pages. Each is left where
 * it stands first, unless it is a mere page number. Holds a few pages at a time.
 */
export function createFurnitureFilter(): {
  /** Gives the pages whose surroundings are known by now. */
  push(page: PageText): readonly PageText[];
  /** Gives what is left at the end. */
  flush(): readonly PageText[];
} {
  const around: Waiting[] = [];
  const seen = new Set<string>();
  let done = 0;

  function release(index: number): PageText {
    const { page, edges } = around[index] ?? { page: { number: 0, segments: [], asides: [] }, edges: [] };
    const others = around.filter((_, at) => at !== index && Math.abs(at - index) <= REACH);
    const dropped = new Set<Placed>();
    for (const edge of edges) {
      const counts = PAGE_NUMBER.test(edge.shape);
      const repeats = others.filter((other) =>
        other.edges.some((one) => isSame(edge, one, other.page.number - page.number)),
      );
      const enough =
        counts && edge.numbers.includes(page.number) ? 1 : Math.min(LEAST_REPEATS, others.length || LEAST_REPEATS);
      if (repeats.length < Math.max(enough, counts ? 1 : LEAST_REPEATS)) continue;
      if (counts || seen.has(edge.shape)) for (const segment of edge.segments) dropped.add(segment);
      seen.add(edge.shape);
    }
    const asides = page.asides.filter(({ text }) => !seen.has(`aside ${text}`));
    for (const { text } of page.asides) seen.add(`aside ${text}`);
    return { ...page, segments: page.segments.filter((segment) => !dropped.has(segment)), asides };
  }

  return {
    push(page) {
      around.push({ page, edges: edgesOf(page) });
      if (around.length - done <= REACH) return [];
      const ready = [release(done)];
      if (done === REACH) around.shift();
      else done += 1;
      return ready;
    },
    flush() {
      const rest: PageText[] = [];
      for (; done < around.length; done += 1) rest.push(release(done));
      return rest;
    },
  };
}

function edgesOf({ segments }: PageText): readonly Edge[] {
  const rows = clusterRows(segments);
  const edges = rows.length <= 2 * EDGE_ROWS ? rows : [...rows.slice(0, EDGE_ROWS), ...rows.slice(-EDGE_ROWS)];
  return edges.map((row) => {
    const text = row
      .map((segment) => segment.text)
      .join(' ')
      .toLowerCase();
    const roman = /^[ivxlc]{1,8}$/.test(text) ? romanNumber(text) : null;
    return {
      y: row[0]?.y ?? 0,
      shape: roman === null ? text.replace(/\d+/g, '#') : '#',
      numbers: roman === null ? (text.match(/\d+/g) ?? []).map(Number) : [roman],
      segments: row,
    };
  });
}

/** Equal but for numbers that differ by as much as the pages do. */
function isSame(one: Edge, other: Edge, pages: number): boolean {
  if (one.shape !== other.shape || Math.abs(one.y - other.y) > SAME_PLACE) return false;
  if (one.shape.replace(/[#\s\W]/g, '') === '' && one.numbers.length > 2) return false;
  return one.numbers.every((number, at) => {
    const difference = (other.numbers[at] ?? number) - number;
    return difference === 0 || difference === pages;
  });
}

function romanNumber(text: string): number {
  return [...text].reduce((sum, letter, at) => {
    const value = ROMAN[letter] ?? 0;
    return sum + (value < (ROMAN[text[at + 1] ?? ''] ?? 0) ? -value : value);
  }, 0);
}
