export { countOrZero, field, items, textOrNull } from './json-access.ts';
export { type AnswerReader, readModelAnswer } from './model-answer-reading.ts';
export { describeError, readFailure, readJsonBody } from './provider-body.ts';
export {
  interrupted,
  invalidResponse,
  type ProviderFailure,
  toProviderError,
  unanswered,
  unreachable,
} from './provider-errors.ts';
export type { ProviderCall, ProviderHttp, ProviderResponse } from './provider-http.ts';
export { createSaid, type Said } from './said.ts';
