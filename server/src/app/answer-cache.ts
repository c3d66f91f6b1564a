import { type Cache, type Leases, ownerPrefix } from '../cache/index.ts';
import type { AnswerCacheOptions } from '../chat/index.ts';
import type { Bot } from '../store/index.ts';
import { type AnswerSettings, answerSettingsHash } from './answer-settings.ts';
import type { Config } from './config.ts';

/** Where answers are kept for others who ask the same. */
export interface ComposedAnswerCache {
  /** For the answerer; empty when none are kept. */
  readonly options: { readonly answerCache?: AnswerCacheOptions };
  /** Nobody is given answers of content that has changed; this frees their text from where it is kept, too. */
  forget(bot: Bot): void;
}

export function composeAnswerCache(
  { config, version }: { readonly config: Pick<Config, 'answerCache'> & AnswerSettings; readonly version: string },
  { cache, leases }: { readonly cache: Cache; readonly leases: Leases },
): ComposedAnswerCache {
  if (config.answerCache === null) return { options: {}, forget: () => {} };
  const { maxBytes: _, ...rest } = config.answerCache;
  const serverVersion = `${version} ${answerSettingsHash(config)}`;
  return {
    options: { answerCache: { cache, leases, ...rest, serverVersion } },
    forget: ({ tenantId, id: botId }) => void cache.deleteAll(ownerPrefix({ tenantId, botId })),
  };
}
