export { createAnswerer, type TrackedAnswerer } from './answerer.ts';
export type { AnswererOptions, AnsweringModel } from './answerer-options.ts';
