export { createHttpApp } from './http-app.ts';
export type { DemoBot, HttpLimits, HttpParts, ListedPrice, ServingState } from './http-app-options.ts';
export { QUEUE_BOARD_PATH } from './route-access.ts';
export { createWorkerApp } from './worker-app.ts';
export type { ZodApp } from './zod-app.ts';
