import type { Labels } from '../kernel/index.ts';

const OTHER = 'other';
const MAX_VALUE_LENGTH = 120;

/**
 * Bounds what one label of one metric can take up: the first `maxValues` values are kept, later ones count as `other`.
 */
export function createLabelLimiter(maxValues: number): (metric: string, labels: Labels) => Record<string, string> {
  const seen = new Map<string, Set<string>>();

  function limit(key: string, value: string): string {
    const values = seen.get(key) ?? new Set();
    seen.set(key, values);
    if (values.has(value)) return value;
    if (values.size >= maxValues) return OTHER;
    values.add(value);
    return value;
  }

  return (metric, labels) => {
    const limited: Record<string, string> = {};
    for (const label in labels)
      limited[label] = limit(`${metric} ${label}`, (labels[label] ?? '').slice(0, MAX_VALUE_LENGTH));
    return limited;
  };
}
