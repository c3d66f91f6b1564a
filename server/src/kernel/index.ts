export { AppError, type AppErrorOptions, ERROR_CODES, type ErrorCode, toAppError } from './app-error.ts';
export { type Clock, createManualClock, type ManualClock, systemClock } from './clock.ts';
export { createDeadline, type Deadline } from './deadline.ts';
export { createIdMaker, type IdMaker, type IdPrefix } from './ids.ts';
export type { JsonObject, JsonValue } from './json.ts';
export type { Lifecycle } from './lifecycle.ts';
export { type LogFields, type Logger, silentLogger } from './logger.ts';
export { type Labels, type Meter, silentMeter } from './meter.ts';
export { createWatchdogs, type Watchdog, type Watchdogs } from './watchdog.ts';
