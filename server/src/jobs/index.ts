export { createBusTransport } from './bus-transport.ts';
export { createJobEvents } from './job-events.ts';
export { createJobRunner } from './job-runner.ts';
export { createMemoryTransport } from './memory-transport.ts';
export type { JobEvents, JobHandler, JobTransport, StageContext, StageResult } from './ports.ts';
export { countAlive, createJobWatch, isAlive } from './workers.ts';
