import type { ChatMessage, TokenCounter } from './ports.ts';

/** What chat formats add to each message for its role and its end. */
const TOKENS_A_MESSAGE = 4;

/** Tokens of a prompt. */
export function countPrompt(messages: readonly ChatMessage[], counter: TokenCounter): number {
  return messages.reduce((sum, { content }) => sum + counter.count(content) + TOKENS_A_MESSAGE, 0);
}
