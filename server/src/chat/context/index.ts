export { hitAt, type PackedPassage, type PackingRequest, packContext } from './context-packing.ts';
export { createSearcher, type SearcherOptions } from './searcher.ts';
