export { type ModelAnswer, readAnswer } from './model-answer.ts';
export {
  createModelCaller,
  type ModelCallEvent,
  type ModelCaller,
  type ModelCallerOptions,
  type ModelDeadlines,
} from './model-caller.ts';
