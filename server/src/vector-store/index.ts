export type { LexicalIndex, Namespace, ScoredChunk, SearchFilter, VectorRecord, VectorStore } from './ports.ts';
