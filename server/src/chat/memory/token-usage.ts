import type { ChatMessage, TokenCounter, TokenUsage } from '../../llm/index.ts';

/** What chat formats add to each message for its role and its end. */
const TOKENS_A_MESSAGE = 4;

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
  const inputTokens = messages.reduce((sum, { content }) => sum + counter.count(content) + TOKENS_A_MESSAGE, 0);
  return { inputTokens, outputTokens: counter.count(answer) };
}
