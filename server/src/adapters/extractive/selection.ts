import type { EvidenceStatement, PassageEvidence } from './evidence.ts';
import type { Question } from './question.ts';
import type { ScoredStatement } from './scoring.ts';

/** A run of statements of one passage that is shown together. */
export interface AnswerPart {
  readonly evidence: PassageEvidence;
  /** The sentence that leads into the list, shown above it; null for prose and for lists that stand alone. */
  readonly lead: EvidenceStatement | null;
  /** In document order. */
  readonly statements: readonly EvidenceStatement[];
  readonly layout: 'prose' | 'bullets' | 'steps';
}

interface Selection {
  readonly parts: AnswerPart[];
  readonly taken: Set<EvidenceStatement>;
  words: number;
}

const MOST_PARTS = 3;
const MOST_WORDS = 130;
const MOST_ITEMS = 8;
const MOST_STEPS = 12;
const MOST_SENTENCES = 4;
/** Two questions with this share of terms in common (Dice) are the same. */
const SAME_QUESTION = 0.75;
/** A further statement must score this share of the best one. */
const KEEP_SHARE = 0.8;
const KEEP_COVERAGE = 0.75;
/** Statements that share more of their terms than this say the same. */
const MOST_OVERLAP = 0.6;

/** Openings that mean nothing without the sentence before. */
const DEPENDENT =
  /^(?:this|these|that|those|it|they|them|he|she|his|her|its|their|such|however|also|additionally|in addition|moreover|furthermore|otherwise|instead|therefore|thus|then|as a result|for (?:example|instance)|the (?:latter|former|same)|both|neither|in (?:this|that|these|those|such) cases?|if (?:so|not|it|this|they)|or|and|but)\b/iu;

/**
 * Picks the statements that answer, best first, and what they need to be understood: the sentence before a dependent
 * one, the list after a lead, the lead above an item. Further picks must add something (maximal marginal relevance,
 * Carbonell and Goldstein 1998, as a cut-off on shared terms).
 */
export function selectParts(question: Question, ranked: readonly ScoredStatement[]): AnswerPart[] {
  const best = ranked[0];
  if (best === undefined) return [];
  const selection: Selection = { parts: [], taken: new Set(), words: 0 };
  addPart(selection, partAround(question, best, ranked));
  for (const candidate of ranked.slice(1)) {
    if (selection.parts.length >= MOST_PARTS || selection.words >= MOST_WORDS) break;
    if (candidate.score < best.score * KEEP_SHARE || candidate.coverage < best.coverage * KEEP_COVERAGE) continue;
    if (repeats(candidate.statement, selection.taken)) continue;
    const part = partAround(question, candidate, ranked);
    if (part.statements.some((statement) => selection.taken.has(statement))) continue;
    if (selection.words + wordsOf(part) <= MOST_WORDS) addPart(selection, part);
  }
  return inReadingOrder(selection.parts);
}

function addPart(selection: Selection, part: AnswerPart): void {
  selection.parts.push(part);
  selection.words += wordsOf(part);
  for (const statement of part.statements) selection.taken.add(statement);
  if (part.lead !== null) selection.taken.add(part.lead);
}

function wordsOf(part: AnswerPart): number {
  return part.statements.reduce((sum, { words }) => sum + words, part.lead?.words ?? 0);
}

function repeats(statement: EvidenceStatement, taken: ReadonlySet<EvidenceStatement>): boolean {
  if (taken.has(statement)) return true;
  const terms = new Set(statement.terms);
  return [...taken].some((other) => {
    const shared = new Set(other.terms.filter((term) => terms.has(term))).size;
    return shared > MOST_OVERLAP * Math.max(1, Math.min(terms.size, new Set(other.terms).size));
  });
}

function partAround(question: Question, best: ScoredStatement, ranked: readonly ScoredStatement[]): AnswerPart {
  const { evidence, statement } = best;
  if (answersSameQuestion(question, best)) return { evidence, ...wholeAnswer(best) };
  if (leadsIntoList(statement, evidence)) return listPart(question, evidence, statement);
  const lead = statement.lead === null ? null : (evidence.statements[statement.lead] ?? null);
  const { kind } = statement.statement;
  if (kind === 'table-row') return { evidence, lead, statements: [statement], layout: 'prose' };
  if (kind !== 'list-item') return prosePart(question, best);
  if (isStep(statement, evidence) && (question.kind === 'how-to' || question.kind === 'other')) {
    return { evidence, lead: sentenceLead(lead), statements: stepsAround(statement, evidence), layout: 'steps' };
  }
  return itemsPart(question, best, ranked);
}

/** Whether the heading above is the question itself, in much the same words. */
function answersSameQuestion(question: Question, { evidence, statement }: ScoredStatement): boolean {
  const heading = statement.heading === null ? undefined : evidence.statements[statement.heading];
  if (heading?.isQuestion !== true || question.terms.length === 0) return false;
  const asked = new Set(heading.terms);
  const shared = question.terms.filter((term) => asked.has(term)).length;
  return (2 * shared) / (question.terms.length + asked.size) >= SAME_QUESTION;
}

/** What stands below the question: its first sentences, or its list. */
function wholeAnswer({ evidence, statement }: ScoredStatement): Omit<AnswerPart, 'evidence'> {
  const below = evidence.statements.filter((other) => other.heading === statement.heading && other.position > 0);
  const [first, second] = below;
  if (first !== undefined && second?.lead === first.position) {
    const items = below.filter((other) => other.lead === first.position);
    const steps = items.some((item) => /^\d/u.test(item.statement.marker));
    return { lead: first, statements: firstItems(items, MOST_STEPS), layout: steps ? 'steps' : 'bullets' };
  }
  if (first?.statement.kind === 'list-item') {
    const steps = /^\d/u.test(first.statement.marker);
    return { lead: null, statements: firstItems(below, MOST_STEPS), layout: steps ? 'steps' : 'bullets' };
  }
  const prose = below.filter(({ statement: { kind } }) => kind === 'sentence');
  return { lead: null, statements: prose.slice(0, MOST_SENTENCES), layout: 'prose' };
}

/** Prose: the statement, what it depends on, and what a definition or an instruction goes on with. */
function prosePart(question: Question, best: ScoredStatement): AnswerPart {
  const { evidence, statement } = best;
  const statements = [...neededBefore(statement, evidence), statement];
  const next = evidence.statements[statement.position + 1];
  const wantsMore = question.kind === 'definition' || question.kind === 'how-to' || question.kind === 'why';
  const short = statement.words < 12;
  if (next !== undefined && follows(statement, next) && (short || (wantsMore && DEPENDENT.test(next.text)))) {
    if (!next.text.endsWith(':') && !next.isQuestion && next.words <= 45) statements.push(next);
  }
  return { evidence, lead: null, statements, layout: 'prose' };
}

function follows(statement: EvidenceStatement, next: EvidenceStatement): boolean {
  return next.statement.kind === statement.statement.kind && next.statement.block === statement.statement.block;
}

function neededBefore(statement: EvidenceStatement, evidence: PassageEvidence): EvidenceStatement[] {
  const needed: EvidenceStatement[] = [];
  let current = statement;
  while (needed.length < 2 && DEPENDENT.test(current.text)) {
    const previous = evidence.statements[current.position - 1];
    if (previous === undefined || previous.statement.kind !== 'sentence' || previous.isQuestion) break;
    if (previous.words > 60) break;
    needed.unshift(previous);
    current = previous;
  }
  return needed;
}

function leadsIntoList(statement: EvidenceStatement, evidence: PassageEvidence): boolean {
  return evidence.statements[statement.position + 1]?.lead === statement.position;
}

/** A lead with what follows it: the items of its list, or the code it announces. */
function listPart(question: Question, evidence: PassageEvidence, lead: EvidenceStatement): AnswerPart {
  const below = evidence.statements.filter((statement) => statement.lead === lead.position);
  const ordered = below.some((statement) => /^\d/u.test(statement.statement.marker));
  const most = ordered || question.kind === 'how-to' ? MOST_STEPS : MOST_ITEMS;
  return { evidence, lead, statements: firstItems(below, most), layout: ordered ? 'steps' : 'bullets' };
}

/** Whole items up to a number of them, two sentences an item at most. */
function firstItems(statements: readonly EvidenceStatement[], most: number): EvidenceStatement[] {
  const kept: EvidenceStatement[] = [];
  let items = 0;
  let sentences = 0;
  for (const statement of statements) {
    const { marker, kind } = statement.statement;
    if (marker !== '') {
      items += 1;
      sentences = 0;
    }
    if (items > most) break;
    if (kind !== 'code') sentences += 1;
    if (sentences <= 2) kept.push(statement);
  }
  return kept;
}

function isStep(statement: EvidenceStatement, evidence: PassageEvidence): boolean {
  return /^\d/u.test(itemStart(statement, evidence)?.statement.marker ?? '');
}

/** All steps of the list, with the code that they announce. */
function stepsAround(statement: EvidenceStatement, evidence: PassageEvidence): EvidenceStatement[] {
  const { block, depth } = statement.statement;
  const isStepOf = (other: EvidenceStatement | undefined): boolean =>
    other?.statement.block === block && other.statement.depth === depth && other.statement.kind === 'list-item';
  const steps = evidence.statements.filter((other) => {
    if (other.statement.kind !== 'code') return isStepOf(other);
    return other.statement.block === block || (other.lead !== null && isStepOf(evidence.statements[other.lead]));
  });
  return firstItems(steps, MOST_STEPS);
}

/** An item of a list: with its lead and the siblings that answer as well, or as prose when it stands alone. */
function itemsPart(question: Question, best: ScoredStatement, ranked: readonly ScoredStatement[]): AnswerPart {
  const { evidence, statement } = best;
  const lead = statement.lead === null ? null : (evidence.statements[statement.lead] ?? null);
  const start = itemStart(statement, evidence) ?? statement;
  const own = evidence.statements.slice(start.position, statement.position + 1).slice(-2);
  if (lead === null) return { evidence, lead: null, statements: own, layout: 'prose' };
  const siblings = evidence.statements.filter((other) => other.lead === lead.position);
  if (question.kind === 'listing' && best.coverage > 0.3) {
    return { evidence, lead, statements: firstItems(siblings, MOST_ITEMS), layout: 'bullets' };
  }
  const alsoGood = new Set(
    ranked
      .filter((other) => other.score >= best.score * 0.8 && siblings.includes(other.statement))
      .map((other) => other.statement),
  );
  const statements = evidence.statements.filter((other) => own.includes(other) || alsoGood.has(other));
  return { evidence, lead, statements: statements.slice(0, MOST_ITEMS), layout: 'bullets' };
}

/** The first sentence of the list item that a statement belongs to. */
function itemStart(statement: EvidenceStatement, evidence: PassageEvidence): EvidenceStatement | undefined {
  return evidence.statements
    .slice(0, statement.position + 1)
    .findLast((other) => other.statement.block === statement.statement.block && other.statement.marker !== '');
}

function sentenceLead(lead: EvidenceStatement | null): EvidenceStatement | null {
  return lead?.text.endsWith(':') === true ? lead : null;
}

/** The best passage first, then the others by their best part; document order within a passage. */
function inReadingOrder(parts: readonly AnswerPart[]): AnswerPart[] {
  const passages = [...new Set(parts.map(({ evidence }) => evidence))];
  return passages.flatMap((evidence) =>
    parts.filter((part) => part.evidence === evidence).sort((a, b) => placeOf(a) - placeOf(b)),
  );
}

function placeOf(part: AnswerPart): number {
  return part.lead?.position ?? part.statements[0]?.position ?? 0;
}
