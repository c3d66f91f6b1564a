export type {
  AnswerEvent,
  Answerer,
  AnswerRequest,
  Searcher,
  SearchHit,
  SearchRequest,
  SearchResult,
} from './ports.ts';
