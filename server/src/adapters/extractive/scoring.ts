import type { EvidenceStatement, PassageEvidence } from './evidence.ts';
import { pairsOf, type Question, type QuestionKind, subjectWeight } from './question.ts';

export interface ScoredStatement {
  readonly evidence: PassageEvidence;
  readonly statement: EvidenceStatement;
  /** 0 to about 1.3; comparable within one question. */
  readonly score: number;
  /** Weighted share of the question's terms that the statement and what it hangs on hold, 0..1. */
  readonly coverage: number;
  /** Cosine to the question; null without an embedder. */
  readonly similarity: number | null;
}

/** Cosine of a statement to the question; null without an embedder. */
export type Similarities = (statement: EvidenceStatement) => number | null;

const WEIGHT = { coverage: 0.5, pairs: 0.06, similarity: 0.2, passage: 0.25, cue: 0.08, opening: 0.06 } as const;
/** What a term counts when it stands not in the statement itself but in what surrounds it. */
const CREDIT = { lead: 0.9, question: 0.9, heading: 0.6, surroundings: 0.4 } as const;

const NUMBER =
  /\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|once|twice|half|dozen|hundred|thousand|million|billion|percent|no (?:limit|maximum|minimum))\b/iu;
const TIME =
  /\b(?:\d{4}|\d{1,2}(?::\d\d)? ?[ap]\.?m|(?:jan|febr)uary|march|april|may|june|july|august|(?:septem|octo|novem|decem)ber|(?:mon|tues|wednes|thurs|fri|satur|sun)day|days?|weeks?|months?|quarter|annual(?:ly)?|before|after|within|until|deadline|due|by the end)\b/iu;
const PERSON =
  /\p{Lu}[\p{Ll}’'-]+ \p{Lu}[\p{Ll}’'-]+|@|\b(?:team|manager|supervisor|director|officer|lead|staff|employees?|contact|by)\b/u;
const PLACE = /@|#|https?:|\b(?:in|at|on|from|channel|office|page|site|located|room|building|folder|form|drive)\b/u;
const REASON =
  /\b(?:because|since|so that|in order to|due to|therefore|reason|purpose|to (?:ensure|avoid|prevent|help|make))\b/iu;
const INSTRUCTION =
  /^(?:first|then|next|finally|to \p{L}+|if you|you (?:can|must|should|need|will|may)|go|click|select|open|fill|submit|email|contact|send|request|complete|use|ask|visit|log|sign|create|add|download|install|check|enter|choose|follow|make|set|run|type|press|call|write|read|review|register|schedule|book|join|turn|search|navigate|find|let|get|update|attach|include|provide|talk|work|reach|start|post|notify|save|upload|copy)\b/iu;
const DEFINITION = /\b(?:is|are|was|were|means|stands for|refers to|describes|consists of)\b|^[^.]{1,60} (?:[-–—:]) /u;

const CUES: Readonly<Record<QuestionKind, RegExp | null>> = {
  who: PERSON,
  when: TIME,
  where: PLACE,
  'how-many': NUMBER,
  'how-to': INSTRUCTION,
  why: REASON,
  definition: DEFINITION,
  listing: null,
  other: null,
};

const BOILERPLATE =
  /\b(?:back to|see also|learn more|read more|for more information|more information|table of contents|last (?:updated|reviewed)|copyright|all rights reserved|subscribe|cookie|privacy policy|terms of (?:use|service)|skip to|edit this page)\b/iu;

/** Scores every statement that may be shown, best first; ties keep the order of passages. */
export function scoreStatements(
  question: Question,
  passages: readonly PassageEvidence[],
  { weights, similarity }: { readonly weights: ReadonlyMap<string, number>; readonly similarity: Similarities },
): ScoredStatement[] {
  const bestPassage = Math.max(...passages.map(({ passage }) => passage.score), 1e-9);
  const scored: ScoredStatement[] = [];
  for (const [rank, evidence] of byScore(passages).entries()) {
    const prior = (WEIGHT.passage * (evidence.passage.score / bestPassage + 1 / (1 + rank))) / 2;
    for (const statement of evidence.statements) {
      if (!isShowable(statement)) continue;
      const coverage = coverageOf(statement, evidence, weights);
      const cosine = similarity(statement);
      const likeness = Math.max(0, cosine ?? 0);
      const score =
        WEIGHT.coverage * coverage +
        WEIGHT.pairs * pairShare(question, statement) +
        WEIGHT.similarity * likeness +
        (coverage > 0 || likeness > 0 ? prior : 0) +
        cueBonus(question, statement, coverage) +
        openingBonus(statement, evidence, weights) -
        penaltyOf(statement);
      scored.push({ evidence, statement, score, coverage, similarity: cosine });
    }
  }
  return scored.sort((a, b) => b.score - a.score);
}

function byScore(passages: readonly PassageEvidence[]): PassageEvidence[] {
  return passages.toSorted((a, b) => b.passage.score - a.passage.score);
}

/** Question terms by weight, summing to 1: rarity among the statements (BM25's idf) times what the term says. */
export function termWeights(question: Question, passages: readonly PassageEvidence[]): ReadonlyMap<string, number> {
  const statements = passages.flatMap((evidence) => evidence.statements.map(({ terms }) => new Set(terms)));
  const raw = question.terms.map((term) => {
    const holders = statements.filter((terms) => terms.has(term)).length;
    const rarity = Math.log(1 + (statements.length - holders + 0.5) / (holders + 0.5));
    return [term, rarity * subjectWeight(term)] as const;
  });
  const total = raw.reduce((sum, [, weight]) => sum + weight, 0);
  return new Map(raw.map(([term, weight]) => [term, total > 0 ? weight / total : 0]));
}

function isShowable(statement: EvidenceStatement): boolean {
  const { kind } = statement.statement;
  return kind !== 'heading' && kind !== 'table-header' && kind !== 'code' && /[\p{L}\p{N}]/u.test(statement.text);
}

function coverageOf(
  statement: EvidenceStatement,
  evidence: PassageEvidence,
  weights: ReadonlyMap<string, number>,
): number {
  let coverage = 0;
  for (const [term, weight] of weights) coverage += weight * creditOf(term, statement, evidence);
  return coverage;
}

function creditOf(term: string, statement: EvidenceStatement, evidence: PassageEvidence): number {
  if (statement.terms.includes(term)) return 1;
  const heading = statement.heading === null ? undefined : evidence.statements[statement.heading];
  const inHeading = heading?.terms.includes(term) === true;
  if (inHeading && heading.isQuestion) return CREDIT.question;
  if (leads(statement, evidence).some((lead) => lead.terms.includes(term))) return CREDIT.lead;
  if (inHeading) return CREDIT.heading;
  return evidence.surroundings.has(term) ? CREDIT.surroundings : 0;
}

/** What a statement hangs on, nearest first: its parent items and the sentence that leads into their list. */
export function leads(statement: EvidenceStatement, evidence: PassageEvidence): readonly EvidenceStatement[] {
  const found: EvidenceStatement[] = [];
  let lead = statement.lead === null ? undefined : evidence.statements[statement.lead];
  while (lead !== undefined) {
    found.push(lead);
    lead = lead.lead === null ? undefined : evidence.statements[lead.lead];
  }
  return found;
}

function pairShare(question: Question, statement: EvidenceStatement): number {
  if (question.pairs.length === 0) return 0;
  const pairs = new Set(pairsOf(statement.terms));
  return question.pairs.filter((pair) => pairs.has(pair)).length / question.pairs.length;
}

function cueBonus(question: Question, statement: EvidenceStatement, coverage: number): number {
  if (question.kind === 'how-to' && /^\d/u.test(statement.statement.marker)) return WEIGHT.cue * coverage * 2;
  return CUES[question.kind]?.test(statement.text) === true ? WEIGHT.cue * Math.min(1, coverage * 2) : 0;
}

/** The first statement below a heading that names the subject tends to answer. */
function openingBonus(
  statement: EvidenceStatement,
  evidence: PassageEvidence,
  weights: ReadonlyMap<string, number>,
): number {
  if (statement.heading === null || statement.position !== statement.heading + 1) return 0;
  const heading = evidence.statements[statement.heading];
  return WEIGHT.opening * (heading?.terms ?? []).reduce((sum, term) => sum + (weights.get(term) ?? 0), 0);
}

function penaltyOf(statement: EvidenceStatement): number {
  let penalty = 0;
  if (statement.words < 4 && statement.statement.kind !== 'table-row') penalty += 0.15;
  else if (statement.words < 7) penalty += 0.03;
  if (statement.words > 70) penalty += 0.1;
  if (statement.isQuestion) penalty += 0.4;
  if (BOILERPLATE.test(statement.text)) penalty += 0.12;
  return penalty;
}
