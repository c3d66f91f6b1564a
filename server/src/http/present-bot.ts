import type { Bot, Page, Store } from '../store/index.ts';
import type { WireBot } from './contract/index.ts';
import type { HttpParts } from './http-app-options.ts';
import { toWireBot } from './mappers/bot.ts';

interface BotParts {
  readonly store: Pick<Store, 'forTenant'>;
  readonly embeddings: Pick<HttpParts['embeddings'], 'profile'>;
}

/** A bot with the index generation that answers. */
export async function presentBot({ store, embeddings }: BotParts, bot: Bot): Promise<WireBot> {
  const generation = await store.forTenant(bot.tenantId).generations.active(bot.id);
  return toWireBot(bot, { generation, embeddingModel: embeddings.profile.id });
}

/** Bots of one tenant. */
export async function presentBots(
  { store, embeddings }: BotParts,
  tenantId: string,
  page: Page<Bot>,
): Promise<Page<WireBot>> {
  const ids = page.items.map(({ id }) => id);
  const active = await store.forTenant(tenantId).generations.ofBots(ids, ['active']);
  const byBot = new Map(active.map((generation) => [generation.botId, generation]));
  const items = page.items.map((bot) =>
    toWireBot(bot, { generation: byBot.get(bot.id) ?? null, embeddingModel: embeddings.profile.id }),
  );
  return { ...page, items };
}
