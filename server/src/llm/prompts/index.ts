export { renderSystemPrompt, type SystemPromptInput } from './system-prompt.ts';
export { isPromptTemplateName, type PromptTemplateName } from './templates.ts';
