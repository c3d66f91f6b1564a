export { renderErrorsMarkdown } from './error-docs.ts';
export { ERROR_STATUS } from './error-status.ts';
export { createHttpApp } from './http-app.ts';
export type { DemoBot, HttpLimits, HttpParts, ServingState } from './http-app-options.ts';
export type { ZodApp } from './zod-app.ts';
