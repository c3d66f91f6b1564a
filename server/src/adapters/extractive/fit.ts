import type { PassageEvidence } from './evidence.ts';
import { type Question, subjectWeight } from './question.ts';
import type { ScoredStatement } from './scoring.ts';

/** What a decision to answer rests on. */
export interface Fit {
  /** Share of the question's weighted terms held by the best statement and its passage, averaged, 0..1. */
  readonly coverage: number;
  /** Cosine of the best statement to the question; null without an embedder. */
  readonly similarity: number | null;
  /** How many terms of its own the question has; words that any question may hold count for less. */
  readonly breadth: number;
}

/**
 * A long question needs a smaller share of its terms to be met than a short one. The thresholds were chosen on 521
 * questions; on others, held out: of 110 asked of their own collection 7 % are declined (9 % without an embedder), of
 * 270 asked of a foreign one 4 % are answered (7 %).
 */
const BASE_COVERAGE = 0.2;
const COVERAGE_OF_ONE_TERM = 0.8;
const MOST_COVERAGE = 0.7;
/** Likeness above this makes up for missing words (median of fitting statements .55), below it counts against (.25). */
const NEUTRAL_SIMILARITY = 0.35;
const SIMILARITY_SHARE = 0.6;

/** How well the best statement and its passage fit the question. */
export function fitOf(question: Question, best: ScoredStatement, weights: ReadonlyMap<string, number>): Fit {
  const held = termsOf(best.evidence);
  let passageCoverage = 0;
  for (const [term, weight] of weights) if (held.has(term)) passageCoverage += weight;
  return {
    coverage: (best.coverage + passageCoverage) / 2,
    similarity: best.similarity,
    breadth: question.terms.reduce((sum, term) => sum + subjectWeight(term), 0),
  };
}

/** Whether that is enough to answer, rather than decline. */
export function answers({ coverage, similarity, breadth }: Fit): boolean {
  const needed = Math.min(MOST_COVERAGE, BASE_COVERAGE + COVERAGE_OF_ONE_TERM / breadth);
  const likeness = similarity === null ? 0 : SIMILARITY_SHARE * (similarity - NEUTRAL_SIMILARITY);
  return coverage > 0 && coverage + likeness >= needed;
}

function termsOf(evidence: PassageEvidence): ReadonlySet<string> {
  const terms = new Set(evidence.surroundings);
  for (const statement of evidence.statements) for (const term of statement.terms) terms.add(term);
  return terms;
}
