import { LRUCache } from 'lru-cache';
import type { Bot, Store } from '../../store/index.ts';

const MOST_BOTS = 10_000;

/** Tells bots that have content from those that have none. */
export interface TrainedBots {
  /** Whether the bot has a source, whatever its state. */
  has(bot: Bot): Promise<boolean>;
}

/** Asks the store once for each content revision of a bot: a source that comes or goes changes it. */
export function createTrainedBots(store: Pick<Store, 'forTenant'>): TrainedBots {
  const known = new LRUCache<string, { readonly revision: string | undefined; readonly isTrained: boolean }>({
    max: MOST_BOTS,
  });
  return {
    async has({ id, tenantId, contentRevision: revision }) {
      const entry = known.get(id);
      if (entry !== undefined && entry.revision === revision) return entry.isTrained;
      const { items } = await store.forTenant(tenantId).sources.list(id, { limit: 1, order: 'asc' });
      const isTrained = items.length > 0;
      known.set(id, { revision, isTrained });
      return isTrained;
    },
  };
}
