import type { Labels } from '../kernel/index.ts';
import type { MetricDeclaration } from './metrics.ts';

/** The values of one metric: one for each set of labels that was measured. */
export interface MetricSeries {
  /** Whether these are the labels of the metric, no more and no fewer. */
  bears(labels: Labels): boolean;
  /** Counts the amount in; of a histogram: as one measurement. */
  add(labels: Labels, amount: number): void;
  /** Puts the value in place of the one before. */
  set(labels: Labels, value: number): void;
  /** As Prometheus reads it: exposition format 0.0.4. */
  toText(): string;
}

interface Point {
  readonly labels: string;
  /** Of a histogram the sum. */
  value: number;
  count: number;
  /** How many measurements fell under each bound, and above the one before it. */
  readonly buckets: Float64Array;
}

const OTHER = 'other';
const MAX_VALUE_LENGTH = 120;
/** Stands between the values of labels in a key. */
const BETWEEN = '\u0000';

/**
 * Counts in memory: a measurement costs a look-up and an addition, and only reading writes labels. Of each label the first
 * `maxValues` values are kept, later ones count as `other`. A metric without labels is there from the start, as 0.
 */
export function createMetricSeries(name: string, declaration: MetricDeclaration, maxValues: number): MetricSeries {
  const declared = declaration.labels;
  const bounds = declaration.type === 'histogram' ? declaration.buckets : [];
  const known = declared.map(() => new Set<string>());
  const points = new Map<string, Point>();
  if (declared.length === 0) point({});

  function keyOf(labelValue: (label: string, place: number) => string): string {
    const [first, second] = declared;
    if (first === undefined) return '';
    if (second === undefined) return labelValue(first, 0);
    return declared.map(labelValue).join(BETWEEN);
  }

  function limited(labels: Labels, label: string, place: number): string {
    const value = (labels[label] ?? '').slice(0, MAX_VALUE_LENGTH);
    const values = known[place];
    if (values === undefined || values.has(value)) return value;
    if (values.size >= maxValues) return OTHER;
    values.add(value);
    return value;
  }

  function point(labels: Labels): Point {
    return points.get(keyOf((label) => labels[label] ?? '')) ?? limitedPoint(labels);
  }

  function limitedPoint(labels: Labels): Point {
    const values: string[] = [];
    const key = keyOf((label, place) => {
      const value = limited(labels, label, place);
      values[place] = `${label}="${escaped(value)}"`;
      return value;
    });
    const found = points.get(key);
    if (found !== undefined) return found;
    const made = { labels: values.join(','), value: 0, count: 0, buckets: new Float64Array(bounds.length) };
    points.set(key, made);
    return made;
  }

  function lines({ labels, value, count, buckets }: Point): string {
    const own = labels === '' ? '' : `{${labels}}`;
    if (declaration.type !== 'histogram') return `${name}${own} ${value}\n`;
    const more = labels === '' ? '' : `,${labels}`;
    let below = 0;
    let text = '';
    for (const [place, bound] of bounds.entries()) {
      below += buckets[place] ?? 0;
      text += `${name}_bucket{le="${bound}"${more}} ${below}\n`;
    }
    return `${text}${name}_bucket{le="+Inf"${more}} ${count}\n${name}_sum${own} ${value}\n${name}_count${own} ${count}\n`;
  }

  return {
    bears(labels) {
      let given = 0;
      for (const label in labels) if (labels[label] !== undefined) given += 1;
      return given === declared.length && declared.every((label) => labels[label] !== undefined);
    },
    add(labels, amount) {
      const at = point(labels);
      at.value += amount;
      at.count += 1;
      const place = bounds.findIndex((bound) => amount <= bound);
      if (place >= 0) at.buckets[place] = (at.buckets[place] ?? 0) + 1;
    },
    set(labels, value) {
      point(labels).value = value;
    },
    toText() {
      const head = `# HELP ${name} ${declaration.help.replace(/\\/g, '\\\\').replace(/\n/g, '\\n')}\n# TYPE ${name} ${declaration.type}\n`;
      return head + [...points.values()].map(lines).join('');
    },
  };
}

function escaped(value: string): string {
  return value.replace(/\\/g, '\\\\').replace(/\n/g, '\\n').replace(/"/g, '\\"');
}
