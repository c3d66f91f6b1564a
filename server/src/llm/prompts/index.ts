export { renderSystemPrompt, type SystemPromptInput } from './system-prompt.ts';
export type { PromptTemplateName } from './templates.ts';
