import { createMemoryCache, createMemoryLeases, ownerPrefix } from '../cache/index.ts';
import type { AnswerCacheOptions } from '../chat/index.ts';
import type { Clock } from '../kernel/index.ts';
import type { Bot } from '../store/index.ts';
import type { Config } from './config.ts';

/** Where answers are kept for others who ask the same. */
export interface ComposedAnswerCache {
  /** For the answerer; empty when none are kept. */
  readonly options: { readonly answerCache?: AnswerCacheOptions };
  /** Nobody is given answers of content that has changed; this frees their text from memory, too. */
  forget(bot: Bot): void;
}

export function composeAnswerCache({
  config,
  version,
  clock,
}: {
  readonly config: Pick<Config, 'answerCache'>;
  readonly version: string;
  readonly clock: Clock;
}): ComposedAnswerCache {
  if (config.answerCache === null) return { options: {}, forget: () => {} };
  const { maxBytes, ...rest } = config.answerCache;
  const cache = createMemoryCache({ maxBytes, clock });
  const leases = createMemoryLeases({ clock });
  return {
    options: { answerCache: { cache, leases, ...rest, promptVersion: version } },
    forget: ({ tenantId, id: botId }) => void cache.deleteAll(ownerPrefix({ tenantId, botId })),
  };
}
