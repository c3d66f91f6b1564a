export type { JobEvents, JobHandler, JobTransport, StageContext, StageResult } from './ports.ts';
