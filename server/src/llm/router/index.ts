export { type ModelAnswer, readAnswer } from './model-answer.ts';
export type {
  ModelCallEvent,
  ModelCaller,
  ModelCallOptions,
  ModelCallReport,
  ModelCallStart,
} from './model-call.ts';
export { createModelCaller, type ModelCallerOptions, type ModelDeadlines } from './model-caller.ts';
