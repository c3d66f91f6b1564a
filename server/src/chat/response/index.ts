export { createAnswerer, type TrackedAnswerer } from './answerer.ts';
export type { AnswererOptions, AnsweringModel } from './answerer-options.ts';
export { DEFAULT_REFUSAL_MESSAGE } from './refusal.ts';
