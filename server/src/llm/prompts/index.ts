export { promptValues, renderSystemPrompt, type SystemPromptInput } from './system-prompt.ts';
export {
  names as namesVariable,
  PROMPT_VARIABLES,
  type PromptValues,
  type PromptVariableName,
} from './template-text.ts';
export { builtInTemplate, builtInVersions, customTemplate, OPEN_TEMPLATE, type PromptTemplate } from './templates.ts';
