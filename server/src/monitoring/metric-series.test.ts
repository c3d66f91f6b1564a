import fc from 'fast-check';
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { expect, it } from 'vitest';
import { createMetricSeries } from './metric-series.ts';

const NAME = 'things_seconds';
const HELP = 'Things, "all" of them \\ each.';
const LABELS = ['model', 'kind'];
const BUCKETS = [0.1, 0.5, 1];

/** The same in prom-client, whose text is the measure. */
const PEERS = {
  counter: (registry: Registry) => {
    const peer = new Counter({ name: NAME, help: HELP, labelNames: LABELS, registers: [registry] });
    return (labels: Record<string, string>, value: number) => peer.inc(labels, value);
  },
  gauge: (registry: Registry) => {
    const peer = new Gauge({ name: NAME, help: HELP, labelNames: LABELS, registers: [registry] });
    return (labels: Record<string, string>, value: number) => peer.set(labels, value);
  },
  histogram: (registry: Registry) => {
    const peer = new Histogram({ name: NAME, help: HELP, labelNames: LABELS, buckets: BUCKETS, registers: [registry] });
    return (labels: Record<string, string>, value: number) => peer.observe(labels, value);
  },
};

const label = fc.oneof(fc.constantFrom('a', 'b', 'other', '', '"', '\\', 'line\nend'), fc.string({ maxLength: 5 }));
const measurements = fc.array(
  fc.record({
    model: label,
    kind: label,
    value: fc.oneof(fc.constantFrom(0, 0.1, 0.5, 1), fc.double({ min: 0, max: 2, noNaN: true })),
  }),
  { maxLength: 40 },
);

it.each(['counter', 'gauge', 'histogram'] as const)('writes a %s as prom-client does', async (type) => {
  await fc.assert(
    fc.asyncProperty(measurements, async (all) => {
      const registry = new Registry();
      const measureThere = PEERS[type](registry);
      const declaration = { help: HELP, labels: LABELS };
      const series = createMetricSeries(
        NAME,
        type === 'histogram' ? { ...declaration, type, buckets: BUCKETS } : { ...declaration, type },
        1000,
      );
      for (const { value, ...labels } of all) {
        measureThere(labels, value);
        if (type === 'gauge') series.set(labels, value);
        else series.add(labels, value);
      }
      expect(linesOf(series.toText())).toEqual(linesOf(await registry.metrics()));
    }),
    { numRuns: 200 },
  );
});

/** Sets of labels come in no order that anything depends on. */
function linesOf(text: string): string[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .sort();
}
