import type { ChatMessage, TokenCounter } from '../../llm/index.ts';
import type { Message } from '../../store/index.ts';

/** A question with the answer that it got. */
export interface Turn {
  readonly question: Message;
  readonly answer: Message;
}

/** Pairs messages (oldest first) into turns. Questions that got no answer, and answers without text, are left out. */
export function toTurns(messages: readonly Message[]): Turn[] {
  const turns: Turn[] = [];
  let question: Message | null = null;
  for (const message of messages) {
    if (message.role === 'user') {
      question = message;
    } else if (question !== null && message.content.trim() !== '') {
      turns.push({ question, answer: message });
      question = null;
    }
  }
  return turns;
}

/** The newest turns that fit into so many tokens, oldest first, and those before them. A turn is kept whole or not at all. */
export function splitWindow(
  turns: readonly Turn[],
  { maxTokens, counter }: { readonly maxTokens: number; readonly counter: TokenCounter },
): { readonly window: readonly Turn[]; readonly older: readonly Turn[] } {
  let tokens = 0;
  let from = turns.length;
  while (from > 0) {
    const turn = turns[from - 1];
    if (turn === undefined) break;
    tokens += counter.count(turn.question.content) + counter.count(turn.answer.content);
    if (tokens > maxTokens) break;
    from -= 1;
  }
  return { window: turns.slice(from), older: turns.slice(0, from) };
}

/** Turns as a model reads them. Markers are taken out: their numbers belong to the passages of another question. */
export function toChatMessages(turns: readonly Turn[]): ChatMessage[] {
  return turns.flatMap(({ question, answer }) => [
    { role: 'user' as const, content: question.content },
    { role: 'assistant' as const, content: withoutMarkers(answer.content) },
  ]);
}

export function withoutMarkers(answer: string): string {
  return answer.replace(/[ \t]*\[\d+\]/gu, '');
}
