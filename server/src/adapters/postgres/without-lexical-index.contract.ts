import type { LexicalSqlDialect } from './index.ts';

/** For tests of the store that search nothing. */
export const withoutLexicalIndex: LexicalSqlDialect = {
  createLexicalTables: async () => {},
  divideLexicalTables: async () => {},
  openLexicalIndex: async () => async () => {},
  unindexDocuments: async () => {},
  purgeLexicalIndex: async () => {},
  dropLexicalIndexes: async () => {},
};
