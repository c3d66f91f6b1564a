export { checkPrompt, templateOf } from './bot-prompt.ts';
