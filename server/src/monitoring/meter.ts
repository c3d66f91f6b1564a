import { collectDefaultMetrics, Registry } from 'prom-client';
import { type Labels, type Logger, type Meter, silentLogger } from '../kernel/index.ts';
import { createMetricSeries, type MetricSeries } from './metric-series.ts';
import { METRICS, type MetricDeclaration } from './metrics.ts';

export interface MeterOptions {
  /** Throw on a name, label or value that is not declared, as tests should; else ignore it with one warning a name. */
  readonly strict?: boolean;
  readonly logger?: Logger;
  /** Different values of one label that are kept; later ones count as `other`. Default 200. */
  readonly maxLabelValues?: number;
  /** Also report the process: CPU, memory, garbage collection, event loop lag. Default true. */
  readonly processMetrics?: boolean;
}

/** The house's meter, and its state in Prometheus' text format. */
export interface PrometheusMeter extends Meter {
  render(): Promise<{ readonly contentType: string; readonly text: string }>;
}

/** A meter over the metrics that are declared in `METRICS`. What it reports of the process comes from prom-client. */
export function createMeter(options: MeterOptions = {}): PrometheusMeter {
  const { strict = false, logger = silentLogger, maxLabelValues = 200, processMetrics = true } = options;
  const registry = new Registry();
  const metrics = new Map(
    Object.entries(METRICS).map(([name, declaration]) => [
      name,
      { type: declaration.type, series: createMetricSeries(name, declaration, maxLabelValues) },
    ]),
  );
  const warned = new Set<string>();
  if (processMetrics) collectDefaultMetrics({ register: registry });

  function find(type: MetricDeclaration['type'], name: string, labels: Labels): MetricSeries | null {
    const metric = metrics.get(name);
    if (metric === undefined || metric.type !== type) return refuse(name, `There is no ${type} ${name}.`);
    if (metric.series.bears(labels)) return metric.series;
    return refuse(name, `${name} bears the labels [${METRICS[name]?.labels.join(', ')}].`);
  }

  function refuse(name: string, message: string): null {
    if (strict) throw new TypeError(message);
    if (!warned.has(name) && warned.size < 100) {
      warned.add(name);
      logger.warn({ metric: name }, `A measurement was ignored. ${message}`);
    }
    return null;
  }

  function isValid(name: string, value: number, least: number): boolean {
    if (Number.isFinite(value) && value >= least) return true;
    refuse(name, `${value} is not a value of ${name}.`);
    return false;
  }

  return {
    count(name, labels, amount = 1) {
      const counter = find('counter', name, labels);
      if (counter !== null && isValid(name, amount, 0)) counter.add(labels, amount);
    },
    observe(name, labels, value) {
      const histogram = find('histogram', name, labels);
      // A clock that was set back makes durations negative: not a fault of the caller.
      if (histogram !== null && isValid(name, value, Number.NEGATIVE_INFINITY))
        histogram.add(labels, Math.max(0, value));
    },
    gauge(name, labels, value) {
      const gauge = find('gauge', name, labels);
      if (gauge !== null && isValid(name, value, Number.NEGATIVE_INFINITY)) gauge.set(labels, value);
    },
    async render() {
      const own = [...metrics.values()].map(({ series }) => series.toText()).join('\n');
      return { contentType: registry.contentType, text: `${own}\n${await registry.metrics()}` };
    },
  };
}
