export { createSearcher, type SearcherOptions } from './context/index.ts';
export type {
  AnswerEvent,
  Answerer,
  AnswerRequest,
  Searcher,
  SearchHit,
  SearchRequest,
  SearchResult,
} from './ports.ts';
export {
  type AnswererOptions,
  type AnsweringModel,
  createAnswerer,
  DEFAULT_REFUSAL_MESSAGE,
  type TrackedAnswerer,
} from './response/index.ts';
