export { contentTerms, questionTerms } from './content-terms.ts';
export { plainText } from './plain-text.ts';
export type { TextSpan } from './sentences.ts';
export { type Statement, type StatementKind, splitStatements } from './statements.ts';
