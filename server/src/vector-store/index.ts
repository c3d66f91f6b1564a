export { withLinkedGenerations } from './linked-generations.ts';
export type {
  LexicalIndex,
  LexicalNamespace,
  Namespace,
  ScoredChunk,
  SearchFilter,
  VectorRecord,
  VectorStore,
} from './ports.ts';
export { indexableText, indexableWords, queryTerms } from './query-terms.ts';
