import type { KeyPart } from '../../cache/index.ts';
import type { AnswerOpening } from './answer-opening.ts';
import { meaningfulWords } from './question-words.ts';

/** What of a request has no influence on the answer. Whatever is not named here is part of the key. */
const WITHOUT_INFLUENCE: ReadonlySet<string> = new Set([
  'bot',
  'messages',
  'conversation',
  'keyId',
  'messageId',
  'endUser',
  'wholeAnswer',
  'cache',
]);

/**
 * Everything that the answer depends on beside tenant and bot: the state of the bot's content and settings (its revision
 * changes with index generation, prompt, passages), the model, its settings, the application's instructions, what was
 * said before, and the question. Null: the answer must be made anew, because somebody asks for that or tools may be called.
 */
export function answerKeyParts(opening: AnswerOpening, serverVersion: string): AnswerKeyParts | null {
  const { request, asked, memory, history, model } = opening;
  const { bot } = request;
  if (request.cache === 'off' || bot.metadata['answer_cache'] === 'off') return null;
  if ((request.tools ?? []).length > 0 || history.some(concernsTools) || asked.exchange.length > 0) {
    return null;
  }
  const settings = Object.entries(request)
    .filter(([name, value]) => value !== undefined && !WITHOUT_INFLUENCE.has(name))
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([name, value]) => [name, JSON.stringify(value)]);
  const scope = [
    serverVersion,
    bot.contentRevision ?? null,
    model.caller.id,
    settings,
    asked.instructions,
    memory.summary,
    history.map(({ role, content }) => [role, content]),
  ];
  const takesSimilar = history.length <= LONGEST_HISTORY && bot.metadata['semantic_cache'] !== 'off';
  return {
    scope,
    question: normalised(asked.question),
    meaning: () => (takesSimilar && memory.summary === null ? meaningfulWords(asked.question) : null),
  };
}

export interface AnswerKeyParts {
  readonly scope: readonly KeyPart[];
  readonly question: string;
  /** The words that carry its meaning; null: what was said before may carry it, or the bot wants no such answers. */
  readonly meaning: () => string | null;
}

/** In messages; Bifrost leaves longer conversations out, too. */
const LONGEST_HISTORY = 3;

function concernsTools(message: AnswerOpening['history'][number]): boolean {
  return message.role === 'tool' || (message.role === 'assistant' && (message.toolCalls ?? []).length > 0);
}

/** Nothing that could change the meaning: other spaces, unless lines are indented as code is, and other codes of the same characters. */
function normalised(question: string): string {
  const text = question.normalize('NFC').trim();
  return INDENTED.test(text) ? text : text.replace(/\s+/gu, ' ');
}

const INDENTED = /\n[^\S\n]+\S/u;
