import { contentTerms, type Passage, plainText, type Statement, splitStatements } from '../../llm/index.ts';
import { readAcronyms } from './acronyms.ts';

/** A statement with what is needed to judge and to show it. */
export interface EvidenceStatement {
  readonly statement: Statement;
  /** Its place among the passage's statements. */
  readonly position: number;
  /** As it is shown: one line without Markdown. */
  readonly text: string;
  readonly terms: readonly string[];
  readonly words: number;
  /** Place of what it hangs on: the sentence that leads into its list, its parent item, its table's header; else null. */
  readonly lead: number | null;
  /** Place of the heading or question above it in the passage; else null. */
  readonly heading: number | null;
  readonly isQuestion: boolean;
}

export interface PassageEvidence {
  readonly passage: Passage;
  readonly statements: readonly EvidenceStatement[];
  /** Terms of the title and the heading path. */
  readonly surroundings: ReadonlySet<string>;
}

const QUESTION_LABEL = /^(?:q|question)\s*[:.]\s*/iu;
const ANSWER_LABEL = /^(?:a|answer)\s*[:.]\s*/iu;

/** Reads a passage into statements that know their lead and their heading. */
export function readEvidence(passage: Passage): PassageEvidence {
  const statements: EvidenceStatement[] = [];
  const acronyms = readAcronyms(`${passage.title}\n${passage.headingPath.join('\n')}\n${passage.text}`);
  let heading: number | null = null;
  for (const [position, statement] of splitStatements(passage.text).entries()) {
    const shown = plainText(passage.text.slice(statement.start, statement.end));
    const isQuestion = QUESTION_LABEL.test(shown) || shown.endsWith('?');
    const text = shown.replace(ANSWER_LABEL, '');
    statements.push({
      statement,
      position,
      text,
      terms: expanded(contentTerms(text), acronyms),
      words: text.split(' ').length,
      lead: leadOf(statement, statements),
      heading,
      isQuestion,
    });
    if (statement.kind === 'heading' || (isQuestion && isStandalone(statement))) heading = position;
  }
  return {
    passage,
    statements,
    surroundings: new Set(contentTerms(`${passage.title} ${passage.headingPath.join(' ')}`)),
  };
}

/** Terms with what the acronyms among them stand for. */
function expanded(terms: readonly string[], acronyms: ReadonlyMap<string, readonly string[]>): readonly string[] {
  if (acronyms.size === 0) return terms;
  return terms.flatMap((term) => [term, ...(acronyms.get(term) ?? [])]);
}

/** A question that heads what follows it, not a rhetorical one inside a paragraph or list. */
function isStandalone(statement: Statement): boolean {
  return statement.kind === 'sentence' || statement.kind === 'list-item';
}

function leadOf(statement: Statement, before: readonly EvidenceStatement[]): number | null {
  if (statement.kind === 'table-row') return headerOf(statement, before);
  if (statement.kind === 'list-item') return listLeadOf(statement, before);
  const previous = before.at(-1);
  return statement.kind === 'code' && previous?.text.endsWith(':') === true ? previous.position : null;
}

function headerOf(row: Statement, before: readonly EvidenceStatement[]): number | null {
  const header = before.findLast(({ statement }) => statement.block === row.block && statement.kind === 'table-header');
  return header?.position ?? null;
}

/** The item that holds this one, or the sentence before the list when it leads into it. */
function listLeadOf(item: Statement, before: readonly EvidenceStatement[]): number | null {
  const first = before.findLastIndex(({ statement }) => statement.block !== item.block) + 1;
  const parent = before
    .slice(first)
    .findLast(({ statement }) => statement.marker !== '' && statement.depth < item.depth);
  if (parent !== undefined) return parent.position;
  const previous = before[first - 1];
  return previous?.text.endsWith(':') === true && previous.statement.kind !== 'heading' ? previous.position : null;
}
