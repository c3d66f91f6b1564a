import type { ChatMessage, TokenCounter } from '../../llm/index.ts';
import type { Message } from '../../store/index.ts';

/** Texts have 4 to 5 characters a token; more than this only padding has. */
const MOST_CHARACTERS_A_TOKEN = 8;

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

export interface WindowSize {
  readonly maxTokens: number;
  readonly counter: TokenCounter;
}

/** The newest turns that fit into so many tokens, oldest first, and those before them. A turn is kept whole or not at all. */
export function splitWindow(
  turns: readonly Turn[],
  size: WindowSize,
): { readonly window: readonly Turn[]; readonly older: readonly Turn[] } {
  const from = windowStart(
    turns.map(({ question, answer }) => [question.content, answer.content]),
    size,
  );
  return { window: turns.slice(from), older: turns.slice(0, from) };
}

/** The same of messages that a client sent along, as they stand; each user message begins a turn. */
export function windowOf(history: readonly ChatMessage[], size: WindowSize): readonly ChatMessage[] {
  const turns: ChatMessage[][] = [];
  for (const message of history) {
    const turn = turns.at(-1);
    if (turn === undefined || message.role === 'user') turns.push([message]);
    else turn.push(message);
  }
  const from = windowStart(
    turns.map((turn) => turn.map(({ content }) => content)),
    size,
  );
  return turns.slice(from).flat();
}

/** Where the newest turns begin that fit, each given by its texts. */
function windowStart(turns: readonly (readonly string[])[], { maxTokens, counter }: WindowSize): number {
  let left = maxTokens;
  let from = turns.length;
  while (from > 0) {
    for (const text of turns[from - 1] ?? []) {
      // What is far too long is not worth the time to count it.
      left -= text.length > left * MOST_CHARACTERS_A_TOKEN ? left + 1 : counter.count(text);
      if (left < 0) return from;
    }
    from -= 1;
  }
  return from;
}

/** Turns as a model reads them. Markers are taken out: their numbers belong to the passages of another question. */
export function toChatMessages(turns: readonly Turn[]): ChatMessage[] {
  return turns.flatMap(({ question, answer }) => [
    { role: 'user' as const, content: question.content },
    { role: 'assistant' as const, content: withoutMarkers(answer.content) },
  ]);
}

export function withoutMarkers(answer: string): string {
  return answer.replace(/(?<![ \t])[ \t]*\[\d+\]/gu, '');
}
