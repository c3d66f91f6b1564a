import { AppError } from '../../kernel/index.ts';
import type { ChatMessage } from '../../llm/index.ts';

/** In characters, of the question and of the client's instructions alike: more is content, which belongs in a source. */
const LONGEST_PART = 32_000;

/** A client's messages, taken apart. */
export interface Asked {
  readonly question: string;
  /** User and assistant turns before the question, oldest first. */
  readonly history: readonly ChatMessage[];
  /** The calls of tools after the question, with what the tools answered; empty when the question is the last message. */
  readonly exchange: readonly ChatMessage[];
  /** What the client's own system messages say; null: there are none. */
  readonly instructions: string | null;
}

/**
 * Throws `invalid_request` when the last message is not a question, `context_length_exceeded` when the question or the
 * system messages are longer than 32,000 characters.
 */
export function readAsked(messages: readonly ChatMessage[]): Asked {
  const turns = messages.filter(({ role }) => role !== 'system');
  const last = turns.at(-1);
  const place = last?.role === 'tool' ? turns.findLastIndex(({ role }) => role === 'user') : turns.length - 1;
  const question = turns[place];
  if (question?.role !== 'user' || question.content.trim() === '') {
    throw new AppError('invalid_request', 'The last message must be a question: role "user", with text in it.', {
      param: 'messages',
    });
  }
  const instructions = messages
    .filter(({ role, content }) => role === 'system' && content.trim() !== '')
    .map(({ content }) => content.trim())
    .join('\n\n');
  refuseLong('question', question.content);
  refuseLong('system messages', instructions);
  return {
    question: question.content,
    history: turns.slice(0, place),
    exchange: turns.slice(place + 1),
    instructions: instructions === '' ? null : instructions,
  };
}

function refuseLong(part: string, text: string): void {
  if (text.length <= LONGEST_PART) return;
  const limit = LONGEST_PART.toLocaleString('en-US');
  throw new AppError('context_length_exceeded', `The ${part} may have at most ${limit} characters: send less.`, {
    param: 'messages',
  });
}
