export { withLinkedGenerations } from './linked-generations.ts';
export type { LexicalIndex, Namespace, ScoredChunk, SearchFilter, VectorRecord, VectorStore } from './ports.ts';
export { indexableText, queryTerms } from './query-terms.ts';
