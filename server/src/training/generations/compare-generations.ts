import type { Clock } from '../../kernel/index.ts';
import type { Bot, GenerationComparison, TenantRepositories } from '../../store/index.ts';
import { type ComparisonQuery, comparisonQueries } from './comparison-queries.ts';
import type { BotIndex, ComparedPassage, SearchIndex } from './ports.ts';

export interface ComparisonOptions {
  readonly tenant: Pick<TenantRepositories, 'goldenQuestions' | 'conversations' | 'messages' | 'chunks'>;
  readonly bot: Bot;
  readonly before: BotIndex;
  readonly after: BotIndex;
  readonly search: SearchIndex;
  readonly clock: Pick<Clock, 'now'>;
  readonly signal: AbortSignal;
}

const RESULTS = 10;
/** A mean loss of nDCG@10 above this is clear: known questions tell more than headings, which favour words. */
const CLEAR_LOSS = { golden: 0.02, sampled: 0.05, none: 0 } as const;

/**
 * Asks both generations the same questions. Where the answer is known (golden questions; a heading's own document) it is
 * judged by nDCG@10 (Järvelin and Kekäläinen 2002) with binary relevance; everywhere, by how much the results overlap.
 */
export async function compareGenerations(options: ComparisonOptions): Promise<GenerationComparison> {
  const { basis, queries } = await comparisonQueries(options);
  const results: QueryResult[] = [];
  for (const query of queries) {
    options.signal.throwIfAborted();
    results.push(await ask(query, options));
  }
  const judged = results.filter((result) => result.before !== null && result.after !== null);
  const ndcgOld = mean(judged.map(({ before }) => before ?? 0));
  const ndcgNew = mean(judged.map(({ after }) => after ?? 0));
  const won = judged.filter(({ before, after }) => (after ?? 0) > (before ?? 0)).length;
  const lost = judged.filter(({ before, after }) => (after ?? 0) < (before ?? 0)).length;
  return {
    basis,
    queries: results.length,
    overlapAt10: mean(results.map(({ overlap }) => overlap)),
    ndcgOld,
    ndcgNew,
    won,
    lost,
    verdict: verdictOf({ basis, ndcgOld, ndcgNew, won, lost }),
    comparedAt: options.clock.now(),
  };
}

interface QueryResult {
  readonly overlap: number;
  /** nDCG@10 of each; null when the answer is not known. */
  readonly before: number | null;
  readonly after: number | null;
}

async function ask(query: ComparisonQuery, options: ComparisonOptions): Promise<QueryResult> {
  const { search, bot, signal } = options;
  const asked = { text: query.text, limit: RESULTS, signal };
  const [before, after] = await Promise.all([search(bot, options.before, asked), search(bot, options.after, asked)]);
  return { overlap: overlapOf(before, after), before: ndcg(query, before), after: ndcg(query, after) };
}

/** Share of the passages of the longer list that the other one has, too; those that are cut otherwise when half is shared. */
export function overlapOf(before: readonly ComparedPassage[], after: readonly ComparedPassage[]): number {
  const longest = Math.max(before.length, after.length);
  if (longest === 0) return 1;
  return after.filter((passage) => before.some((other) => sharesHalf(passage, other))).length / longest;
}

function sharesHalf(one: ComparedPassage, other: ComparedPassage): boolean {
  if (one.documentId !== other.documentId) return false;
  const shared = Math.min(one.end, other.end) - Math.max(one.start, other.start);
  return shared > 0 && shared * 2 >= Math.min(one.end - one.start, other.end - other.start);
}

/** Each expectation counts once, at the first passage that fulfils it. */
function ndcg({ expected }: ComparisonQuery, found: readonly ComparedPassage[]): number | null {
  if (expected.length === 0) return null;
  const ranks = expected.map((fulfils) => found.findIndex(fulfils)).filter((rank) => rank >= 0);
  const gain = [...ranks].reduce((sum, rank) => sum + 1 / Math.log2(rank + 2), 0);
  const ideal = expected.slice(0, RESULTS).reduce((sum, _fulfils, rank) => sum + 1 / Math.log2(rank + 2), 0);
  return Math.min(1, gain / ideal);
}

/** Clear means: the mean differs by more than chance would have it, and more questions agree than not. */
function verdictOf({
  basis,
  ndcgOld,
  ndcgNew,
  won,
  lost,
}: Pick<GenerationComparison, 'basis' | 'ndcgOld' | 'ndcgNew' | 'won' | 'lost'>): GenerationComparison['verdict'] {
  if (ndcgOld === null || ndcgNew === null) return 'unknown';
  const difference = ndcgNew - ndcgOld;
  if (difference < -CLEAR_LOSS[basis] && lost > won) return 'worse';
  if (difference > CLEAR_LOSS[basis] && won > lost) return 'better';
  return 'same';
}

function mean(values: readonly number[]): number | null {
  return values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length;
}
