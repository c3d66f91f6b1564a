import { LRUCache } from 'lru-cache';
import type { Bot } from './entities.ts';
import type { BotRepository } from './ports.ts';
import type { WriteWatch } from './write-watch.ts';

const MOST_BOTS = 1_000;

/** Bots as they were last read, for reads outside transactions. */
export interface KeptBots {
  /** The repository, which asks the database again only for bots that may have changed. */
  of(tenantId: string, repository: BotRepository): BotRepository;
}

/** Keeps bots that are there: every question reads one, and hardly anybody changes one. */
export function createKeptBots(watch: WriteWatch): KeptBots {
  const bots = new LRUCache<string, { readonly version: number; readonly bot: Bot }>({ max: MOST_BOTS });
  return {
    of: (tenantId, repository) => ({
      ...repository,
      async get(idOrSlug) {
        const key = `${tenantId} ${idOrSlug}`;
        const version = watch.version();
        const kept = bots.get(key);
        if (kept !== undefined && kept.version === version) return kept.bot;
        const bot = await repository.get(idOrSlug);
        if (bot !== null && version !== null && watch.version() === version) bots.set(key, { version, bot });
        return bot;
      },
    }),
  };
}
