import { checkPrompt, templateOf } from '../chat/index.ts';
import { AppError, type IdMaker } from '../kernel/index.ts';
import type { Bot, PromptSetting, Store } from '../store/index.ts';
import type { PromptChange } from './contract/index.ts';

/** The prompt that a request means, checked: its own, or an earlier one of the bot. Rejects with `invalid_request`. */
export async function resolvePrompt(
  store: Pick<Store, 'forTenant'>,
  bot: Pick<Bot, 'tenantId' | 'id'> | null,
  change: PromptChange | null,
): Promise<PromptSetting | null> {
  if (change === null || !('version' in change)) return checkPrompt(change);
  const found = bot && (await store.forTenant(bot.tenantId).promptVersions.get(bot.id, change.version));
  if (found !== null) return checkPrompt(found.prompt);
  const message = 'prompt.version: The bot never had this version. List them: GET /v1/bots/{bot}/prompts.';
  throw new AppError('invalid_request', message, { param: 'prompt.version' });
}

/** Keeps the prompt that a bot has, chosen when it was last changed, among its versions. */
export async function keepPrompt(
  { store, createId }: { readonly store: Pick<Store, 'forTenant'>; readonly createId: IdMaker },
  bot: Bot,
): Promise<void> {
  const { prompt = null, tenantId, id: botId } = bot;
  if (prompt === null) return;
  const { version } = templateOf(bot);
  const kept = { id: createId('prm'), botId, version, prompt, chosenAt: bot.updatedAt };
  await store.forTenant(tenantId).promptVersions.keep(kept);
}
