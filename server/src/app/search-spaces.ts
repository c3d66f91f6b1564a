import { createSearcher, type SearchSpace } from '../chat/index.ts';
import type { BotIndex, SearchIndex } from '../training/index.ts';

/** Patience of comparisons, which nobody waits for. */
const COMPARISON_PATIENCE_MS = 30_000;

/** Searches a generation as visitors would, were it the active one. */
export function createIndexSearch(options: Omit<Parameters<typeof createSearcher>[0], 'spaces'>): SearchIndex {
  return async (bot, index, { text, limit, signal }) => {
    const space = { ...spaceOf(index), patienceMs: COMPARISON_PATIENCE_MS };
    const searcher = createSearcher({ ...options, spaces: { of: async () => [space] } });
    const { hits } = await searcher.search(bot, { query: text, maxNumResults: limit }, signal);
    return hits.map(({ chunk }) => chunk);
  };
}

/** A generation as the searcher takes it. */
export function spaceOf({ embeddings }: BotIndex): SearchSpace {
  return { embeddings, weight: embeddings.profile.fusionWeight };
}
