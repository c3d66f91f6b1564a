import { AppError, type Clock, type IdMaker } from '../../kernel/index.ts';
import type { Conversation, TenantRepositories } from '../../store/index.ts';
import { openingOf } from '../context/index.ts';
import type { AnswerRequest } from '../ports.ts';

const LONGEST_TITLE = 80;

/**
 * The conversation that a request belongs to: loaded, newly made, or null for none. An id of another tenant, bot or end
 * user (an end user's is for requests that name that user) rejects with `conversation_not_found`, just as one that never
 * existed.
 */
export async function openConversation(
  { bot, conversation, endUser, continues }: AnswerRequest,
  question: string,
  parts: {
    readonly conversations: TenantRepositories['conversations'];
    readonly createId: IdMaker;
    readonly clock: Clock;
  },
): Promise<Conversation | null> {
  const opened = continues === undefined ? conversation : (continues.conversationId ?? undefined);
  if (opened === undefined) return null;
  if (opened !== true) {
    const found = await parts.conversations.get(opened);
    if (found !== null && found.botId === bot.id && (found.endUser === null || found.endUser === endUser)) return found;
    throw new AppError('conversation_not_found', 'There is no such conversation with this bot. Begin a new one.', {
      param: 'conversation',
    });
  }
  const now = parts.clock.now();
  const made: Omit<Conversation, 'tenantId'> = {
    id: parts.createId('conv'),
    botId: bot.id,
    endUser: endUser ?? null,
    title: titleOf(question),
    summary: null,
    summarizedThrough: null,
    summarizedAt: null,
    metadata: {},
    createdAt: now,
    updatedAt: now,
  };
  await parts.conversations.create(made);
  return { ...made, tenantId: bot.tenantId };
}

function titleOf(question: string): string {
  const characters = Array.from(openingOf(question).replace(/\s+/gu, ' ').trim());
  return characters.length <= LONGEST_TITLE
    ? characters.join('')
    : `${characters.slice(0, LONGEST_TITLE - 1).join('')}…`;
}
