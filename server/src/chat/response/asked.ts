import { AppError } from '../../kernel/index.ts';
import type { ChatMessage } from '../../llm/index.ts';

/** A client's messages, taken apart. */
export interface Asked {
  readonly question: string;
  /** User and assistant turns before the question, oldest first. */
  readonly history: readonly ChatMessage[];
  /** What the client's own system messages say; null: there are none. */
  readonly instructions: string | null;
}

/** Rejects with `invalid_request` when the last message is not a question. */
export function readAsked(messages: readonly ChatMessage[]): Asked {
  const turns = messages.filter(({ role }) => role !== 'system');
  const last = turns.at(-1);
  if (last?.role !== 'user' || last.content.trim() === '') {
    throw new AppError('invalid_request', 'The last message must be a question: role "user", with text in it.', {
      param: 'messages',
    });
  }
  const instructions = messages.filter(({ role, content }) => role === 'system' && content.trim() !== '');
  return {
    question: last.content,
    history: turns.slice(0, -1),
    instructions: instructions.length === 0 ? null : instructions.map(({ content }) => content.trim()).join('\n\n'),
  };
}
