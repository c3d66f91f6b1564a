export type { ModelDeadlines } from './answer-run.ts';
export type { HedgeAfter, RetryPolicy } from './begin-answer.ts';
export { createExtractiveResort, type LastResort } from './last-resort.ts';
export { type ModelAnswer, readAnswer } from './model-answer.ts';
export type {
  ModelCallEvent,
  ModelCaller,
  ModelCallOptions,
  ModelCallReport,
  ModelCallStart,
} from './model-call.ts';
export { createModelCaller, type ModelCallerOptions } from './model-caller.ts';
export { createModelChain, type ModelChain } from './model-chain.ts';
export { createModelHealth, type ModelHealth } from './model-health.ts';
export { createModelRouter, type ModelRouterOptions } from './model-router.ts';
export type { ModelEntry, ModelTarget } from './model-target.ts';
export { createRotation, type Rotation } from './rotation.ts';
