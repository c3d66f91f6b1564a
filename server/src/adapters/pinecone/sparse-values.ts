import { createHash } from 'node:crypto';

/** A sparse vector: places in ascending order, and their weights. */
export interface SparseValues {
  readonly indices: number[];
  readonly values: number[];
}

const MOST_TERMS = 1000;
/** Robertson & Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond" (2009). */
const SATURATION = 1.2;
const LENGTH_SHARE = 0.75;
/** Terms of a usual chunk. */
const USUAL_TERMS = 150;

/**
 * The words of a chunk as a sparse vector: BM25's saturated term frequencies, between 0 and 1. Rarity is left to the lexical
 * index, which has the counts of the bot and makes the final order. Null: no words.
 */
export function sparseOfText(terms: readonly string[]): SparseValues | null {
  const counts = new Map<string, number>();
  for (const term of terms) {
    const root = rootOf(term);
    counts.set(root, (counts.get(root) ?? 0) + 1);
  }
  const length = 1 - LENGTH_SHARE + (LENGTH_SHARE * terms.length) / USUAL_TERMS;
  const weights = [...counts].map(([root, count]) => [root, count / (count + SATURATION * length)] as const);
  return sparse(weights.sort(([, one], [, other]) => other - one).slice(0, MOST_TERMS));
}

/** The words of a question, whose weights come to `weight` in all. Null: no words. */
export function sparseOfQuestion(terms: readonly string[], weight: number): SparseValues | null {
  const roots = [...new Set(terms.map(rootOf))].slice(0, MOST_TERMS);
  return sparse(roots.map((root) => [root, weight / roots.length] as const));
}

function sparse(weights: readonly (readonly [string, number])[]): SparseValues | null {
  // Two words in one place are so rare (32 bits) that the heavier may stand for both.
  const places = new Map<number, number>();
  for (const [root, weight] of weights) {
    const place = createHash('sha256').update(root).digest().readUInt32BE(0);
    places.set(place, Math.max(places.get(place) ?? 0, weight));
  }
  if (places.size === 0) return null;
  const sorted = [...places].sort(([one], [other]) => one - other);
  return { indices: sorted.map(([place]) => place), values: sorted.map(([, weight]) => Number(weight.toPrecision(6))) };
}

/** Without the plural (Harman, "How effective is suffixing?", 1991: the S stemmer). */
function rootOf(term: string): string {
  if (/[^ea]ies$/.test(term)) return `${term.slice(0, -3)}y`;
  if (/[^aeo]es$/.test(term)) return term.slice(0, -1);
  return /[^us]s$/.test(term) ? term.slice(0, -1) : term;
}
