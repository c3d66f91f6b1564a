export type { AnswerCacheOptions } from './answer-cache-options.ts';
export { createAnswerer, type TrackedAnswerer } from './answerer.ts';
export type { AnswererOptions, AnsweringModel } from './answerer-options.ts';
export { createPromptPreviewer, type PromptPreview, type PromptPreviewer } from './prompt-preview.ts';
