import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { type Labels, type Logger, type Meter, silentLogger } from '../kernel/index.ts';
import { createLabelLimiter } from './label-limiter.ts';
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

type Instrument =
  | { readonly type: 'counter'; readonly metric: Counter }
  | { readonly type: 'gauge'; readonly metric: Gauge }
  | { readonly type: 'histogram'; readonly metric: Histogram };

/** A meter over the metrics that are declared in `METRICS`. Each meter has its own registry. */
export function createMeter(options: MeterOptions = {}): PrometheusMeter {
  const { strict = false, logger = silentLogger, maxLabelValues = 200, processMetrics = true } = options;
  const registry = new Registry();
  const instruments = new Map(
    Object.entries(METRICS).map(([name, declaration]) => [name, createInstrument(name, declaration, registry)]),
  );
  const limitLabels = createLabelLimiter(maxLabelValues);
  const warned = new Set<string>();
  if (processMetrics) collectDefaultMetrics({ register: registry });

  function find<Type extends Instrument['type']>(
    type: Type,
    name: string,
    labels: Labels,
  ): Extract<Instrument, { type: Type }> | null {
    const instrument = instruments.get(name);
    if (instrument === undefined || !isOfType(instrument, type)) return refuse(name, `There is no ${type} ${name}.`);
    const declared = METRICS[name]?.labels ?? [];
    if (sameNames(Object.keys(labels), declared)) return instrument;
    return refuse(name, `${name} bears the labels [${declared.join(', ')}].`);
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
      if (counter && isValid(name, amount, 0)) counter.metric.inc(limitLabels(name, labels), amount);
    },
    observe(name, labels, value) {
      const histogram = find('histogram', name, labels);
      // A clock that was set back makes durations negative: not a fault of the caller.
      if (histogram && isValid(name, value, Number.NEGATIVE_INFINITY)) {
        histogram.metric.observe(limitLabels(name, labels), Math.max(0, value));
      }
    },
    gauge(name, labels, value) {
      const gauge = find('gauge', name, labels);
      if (gauge && isValid(name, value, Number.NEGATIVE_INFINITY)) gauge.metric.set(limitLabels(name, labels), value);
    },
    render: async () => ({ contentType: registry.contentType, text: await registry.metrics() }),
  };
}

function createInstrument(name: string, declaration: MetricDeclaration, registry: Registry): Instrument {
  const { type, help } = declaration;
  const common = { name, help, labelNames: [...declaration.labels], registers: [registry] };
  switch (type) {
    case 'counter':
      return { type, metric: new Counter(common) };
    case 'gauge':
      return { type, metric: new Gauge(common) };
    case 'histogram':
      return { type, metric: new Histogram({ ...common, buckets: [...declaration.buckets] }) };
  }
}

function isOfType<Type extends Instrument['type']>(
  instrument: Instrument,
  type: Type,
): instrument is Extract<Instrument, { type: Type }> {
  return instrument.type === type;
}

function sameNames(given: readonly string[], declared: readonly string[]): boolean {
  return given.length === declared.length && given.every((label) => declared.includes(label));
}
