import type { ChatMessage, TokenCounter, TokenUsage } from './ports.ts';

/** What chat formats add to each message for its role and its end. */
const TOKENS_A_MESSAGE = 4;

/** Tokens of a prompt. */
export function countPrompt(messages: readonly ChatMessage[], counter: TokenCounter): number {
  return messages.reduce((sum, { content }) => sum + counter.count(content) + TOKENS_A_MESSAGE, 0);
}

/** Tokens of a call whose provider did not say. */
export function countUsage({
  messages,
  answer,
  counter,
}: {
  readonly messages: readonly ChatMessage[];
  readonly answer: string;
  readonly counter: TokenCounter;
}): TokenUsage {
  return { inputTokens: countPrompt(messages, counter), outputTokens: counter.count(answer) };
}
