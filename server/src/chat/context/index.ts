export { hitAt, type PackedPassage, packContext } from './context-packing.ts';
export { createSearcher } from './searcher.ts';
