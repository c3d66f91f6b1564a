import { oneLine } from './markdown-writer.ts';
import { type PackedFile, treeOf } from './office-package.ts';
import { childOf, childrenOf, descendantsOf, textOf, type XmlElement } from './xml-reader.ts';

export interface Chart {
  readonly title: string;
  /** A column of categories and one for each series, under their names. */
  readonly rows: readonly (readonly string[])[];
}

const MOST_POINTS = 10_000;

/** The figures of a chart (ECMA-376 DrawingML), as they were stored with it. */
export async function readChart(file: PackedFile, part: string | undefined): Promise<Chart> {
  const chart = childOf(await treeOf(file, part), 'chart');
  const series = descendantsOf(childOf(chart, 'plotArea'), 'ser');
  const title = oneLine(descendantsOf(childOf(chart, 'title'), 't').map(textOf).join(''));
  const [first] = series;
  if (first === undefined) return { title, rows: [] };
  const categories = pointsOf(childOf(first, 'cat') ?? childOf(first, 'xVal'));
  const columns = series.map((one) => pointsOf(childOf(one, 'val') ?? childOf(one, 'yVal')));
  const names = series.map((one) => pointsOf(childOf(one, 'tx')).join(' '));
  const height = Math.max(categories.length, ...columns.map((column) => column.length));
  const rows = Array.from({ length: height }, (_, row) => [
    categories[row] ?? '',
    ...columns.map((column) => column[row] ?? ''),
  ]);
  return { title, rows: [['', ...names], ...rows] };
}

function pointsOf(element: XmlElement | undefined): readonly string[] {
  const points: string[] = [];
  for (const point of descendantsOf(element, 'pt')) {
    const index = Number(point.attributes['idx'] ?? points.length);
    if (!(index >= 0 && index < MOST_POINTS)) continue;
    while (points.length < index) points.push('');
    points[index] = childrenOf(point, 'v').map(textOf).join('');
  }
  return points;
}
