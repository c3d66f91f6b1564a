export { createJobEvents, type JobEventsOptions } from './job-events.ts';
export { createJobRunner, type JobRunnerOptions } from './job-runner.ts';
export type { JobStore } from './job-store.ts';
export { createMemoryTransport } from './memory-transport.ts';
export type { JobEvents, JobHandler, JobTransport, StageContext, StageResult } from './ports.ts';
