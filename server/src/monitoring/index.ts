export { createLogger, LOG_LEVELS, type LoggerOptions, type LogLevel } from './logger.ts';
export { createMeter, type MeterOptions, type PrometheusMeter } from './meter.ts';
export { METRICS, type MetricDeclaration } from './metrics.ts';
