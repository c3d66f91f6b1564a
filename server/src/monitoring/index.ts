export { createLogger } from './logger.ts';
export { createMeter, type PrometheusMeter } from './meter.ts';
