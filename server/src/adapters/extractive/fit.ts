import type { PassageEvidence } from './evidence.ts';
import { type Question, subjectWeight } from './question.ts';
import type { ScoredStatement } from './scoring.ts';

/** What a decision to answer rests on. */
export interface Fit {
  /** Share of the question's weighted terms held by the best statement and its passage, averaged, 0..1. */
  readonly coverage: number;
  /** Cosine of the best statement to the question, 0..1; 0 without an embedder. */
  readonly similarity: number;
  /** How many terms of its own the question has; words that any question may hold count for less. */
  readonly breadth: number;
}

/**
 * A long question needs a smaller share of its terms to be met than a short one. Calibrated on 220 questions against
 * the collection they belong to (4 % declined) and 360 against others (3 % answered).
 */
const BASE_COVERAGE = 0.2;
const COVERAGE_OF_ONE_TERM = 0.8;
const MOST_COVERAGE = 0.6;
/** A likeness above the usual of unrelated sentences makes up for missing words, and one below it does not. */
const USUAL_SIMILARITY = 0.35;
const SIMILARITY_SHARE = 0.3;

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
export function answers(fit: Fit): boolean {
  const needed = Math.min(MOST_COVERAGE, BASE_COVERAGE + COVERAGE_OF_ONE_TERM / fit.breadth);
  return fit.coverage > 0 && fit.coverage + SIMILARITY_SHARE * Math.max(0, fit.similarity - USUAL_SIMILARITY) >= needed;
}

function termsOf(evidence: PassageEvidence): ReadonlySet<string> {
  const terms = new Set(evidence.surroundings);
  for (const statement of evidence.statements) for (const term of statement.terms) terms.add(term);
  return terms;
}
