import type { ChunkRepository, Conversation } from '../../store/index.ts';
import type { Turn } from './turns.ts';

/** Stands for an answer that rested on content which is not there any more. */
export const FORGOTTEN_ANSWER = '(This answer is forgotten: content that it rested on was deleted or changed.)';

/** A summary that was begun before content was deleted may hold some of it: it counts as not written. */
export function currentSummary(conversation: Conversation, removedAt: number | null): Conversation {
  if (removedAt === null || (conversation.summarizedAt ?? 0) > removedAt) return conversation;
  return { ...conversation, summary: null, summarizedThrough: null };
}

/**
 * Turns without what was deleted. An answer is remembered while everything that it quotes can still be found in the
 * bot's content; one that quotes nothing, while nothing was deleted since its question. Questions stay: they are the
 * user's own words.
 */
export async function forgetDeleted(
  turns: readonly Turn[],
  known: {
    readonly chunks: Pick<ChunkRepository, 'holdQuotes'>;
    readonly botId: string;
    readonly removedAt: number | null;
  },
): Promise<readonly Turn[]> {
  const quotes = turns.flatMap(({ answer }) => answer.citations);
  const held = quotes.length === 0 ? [] : await known.chunks.holdQuotes(known.botId, quotes);
  const gone = new Set(quotes.filter((_, position) => held[position] !== true));
  return turns.map((turn) => (isForgotten(turn) ? forgotten(turn) : turn));

  function isForgotten({ question, answer }: Turn): boolean {
    if (answer.citations.length > 0) return answer.citations.some((citation) => gone.has(citation));
    return known.removedAt !== null && question.createdAt <= known.removedAt;
  }
}

function forgotten({ question, answer }: Turn): Turn {
  return { question, answer: { ...answer, content: FORGOTTEN_ANSWER, citations: [] } };
}
