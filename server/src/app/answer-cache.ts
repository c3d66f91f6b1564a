import { createMemoryCache, createMemoryLeases } from '../cache/index.ts';
import type { AnswerCacheOptions } from '../chat/index.ts';
import type { Clock } from '../kernel/index.ts';
import type { Config } from './config.ts';

/** Where answers are kept for others who ask the same; an empty object when none are. */
export function composeAnswerCache({
  config,
  version,
  clock,
}: {
  readonly config: Pick<Config, 'answerCache'>;
  readonly version: string;
  readonly clock: Clock;
}): { readonly answerCache?: AnswerCacheOptions } {
  if (config.answerCache === null) return {};
  const { maxBytes, ...rest } = config.answerCache;
  return {
    answerCache: {
      cache: createMemoryCache({ maxBytes, clock }),
      leases: createMemoryLeases({ clock }),
      ...rest,
      promptVersion: version,
    },
  };
}
