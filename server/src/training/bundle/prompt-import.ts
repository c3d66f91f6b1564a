import { builtInTemplate, customTemplate } from '../../llm/index.ts';
import type { PromptVersion } from '../../store/index.ts';
import { type BotRecord, MOST_PROMPTS } from './bundle-records.ts';

/**
 * The versions of the bot's prompt that a bundle brings and this server can use, named by what they say. The prompt that the bot has is one
 * of them, chosen at `now` (milliseconds since 1970) when the bundle, from a time without versions, does not tell.
 */
export function promptVersionsOf(
  { prompt, prompts }: Pick<BotRecord, 'prompt' | 'prompts'>,
  now: number,
): readonly Omit<PromptVersion, 'id' | 'botId'>[] {
  const own = prompt === null ? [] : [{ prompt, created_at: now, chosen_at: now }];
  const found = new Map<string, Omit<PromptVersion, 'id' | 'botId'>>();
  for (const { prompt: kept, created_at: createdAt, chosen_at: chosenAt } of [...prompts, ...own]) {
    const version = versionOf(kept);
    if (version === null || found.has(version)) continue;
    const pinned = 'text' in kept ? kept : { template: version };
    const times = { createdAt: Math.min(createdAt, now), chosenAt: Math.min(chosenAt, now) };
    found.set(version, { version, prompt: pinned, ...times });
  }
  // The prompt that it has comes last; of too many it is not the one to go.
  return [...found.values()].slice(-MOST_PROMPTS);
}

/** Null for a template that this server does not have, or a text that it cannot read. */
function versionOf(prompt: PromptVersion['prompt']): string | null {
  if (!('text' in prompt)) return builtInTemplate(prompt.template)?.version ?? null;
  try {
    return customTemplate(prompt.text, 'prompt.text').version;
  } catch {
    return null;
  }
}
