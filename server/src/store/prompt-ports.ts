import type { PromptSetting } from './entities.ts';
import type { Page, PageRequest } from './page.ts';

/** A prompt that a bot has, or had. */
export interface PromptVersion {
  readonly id: string;
  readonly botId: string;
  /** `customer_service@1`, or `custom@` and a hash of its text: the same again is the same version. */
  readonly version: string;
  readonly prompt: PromptSetting;
  readonly createdAt: number;
  /** When it was last made the bot's prompt. */
  readonly chosenAt: number;
}

export interface PromptVersionRepository {
  /** Remembers it; a version that is known is chosen again. Of each bot the 200 that were chosen last are kept. Rejects with `bot_not_found`. */
  keep(version: Omit<PromptVersion, 'createdAt'>): Promise<void>;
  /** Takes over versions of another server, 200 at most, for a bot that has none; one that is listed twice is taken once. Rejects with `bot_not_found`. */
  takeOver(botId: string, versions: readonly Omit<PromptVersion, 'botId'>[]): Promise<void>;
  get(botId: string, version: string): Promise<PromptVersion | null>;
  list(botId: string, page: PageRequest): Promise<Page<PromptVersion>>;
}
