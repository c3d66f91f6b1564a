export { documentsToJoin, hitAt, type PackedPassage, packContext } from './context-packing.ts';
export { createSearcher } from './searcher.ts';
export { openingOf } from './text-cut.ts';
