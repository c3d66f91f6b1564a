import { AppError } from '../../kernel/index.ts';
import { builtInTemplate, builtInVersions, customTemplate, type PromptTemplate } from '../../llm/index.ts';
import type { Bot, PromptSetting } from '../../store/index.ts';

const DEFAULT = 'default@1';
/** What bots named before they had a setting for it, in their metadata. */
const IN_METADATA: Readonly<Record<string, string>> = { DEFAULT, CUSTOMER_SERVICE: 'customer_service@1' };

type PromptedBot = Pick<Bot, 'metadata' | 'prompt'>;

/** The template of a bot's prompts: its own, else the one that its metadata name, else `default@1`. */
export function templateOf({ metadata, prompt }: PromptedBot): PromptTemplate {
  if (prompt !== undefined && prompt !== null) {
    const own = 'text' in prompt ? customOrNull(prompt.text) : builtInTemplate(prompt.template);
    if (own !== null) return own;
  }
  const named = metadata['prompt_template'];
  const known = typeof named === 'string' && Object.hasOwn(IN_METADATA, named) ? IN_METADATA[named] : undefined;
  const template = builtInTemplate(known ?? DEFAULT);
  if (template === null) throw new Error('the default prompt template is missing');
  return template;
}

/** A text that another version of the server has taken and this one cannot read must not silence the bot. */
function customOrNull(text: string): PromptTemplate | null {
  try {
    return customTemplate(text, 'prompt.text');
  } catch {
    return null;
  }
}

/**
 * The setting as it is kept: a built-in template is pinned to its version. Throws `invalid_request` with `param` for a
 * template that does not exist or cannot be used.
 */
export function checkPrompt(setting: PromptSetting | null): PromptSetting | null {
  if (setting === null) return null;
  if ('text' in setting) {
    customTemplate(setting.text, 'prompt.text');
    return setting;
  }
  const template = builtInTemplate(setting.template);
  if (template !== null) return { template: template.version };
  const known = builtInVersions().join(', ');
  throw new AppError('invalid_request', `prompt.template: There is no such template. There are: ${known}.`, {
    param: 'prompt.template',
  });
}
