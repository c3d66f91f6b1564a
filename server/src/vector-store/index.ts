export { withLinkedGenerations } from './linked-generations.ts';
export type {
  LexicalIndex,
  LexicalNamespace,
  Namespace,
  ScoredChunk,
  SearchFilter,
  VectorQuery,
  VectorRecord,
  VectorStore,
} from './ports.ts';
export { indexableText, indexableWords, queryTerms, textTerms } from './query-terms.ts';
