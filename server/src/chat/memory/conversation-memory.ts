import type { Clock } from '../../kernel/index.ts';
import type { ChatMessage, TokenCounter } from '../../llm/index.ts';
import type { Conversation, Message, TenantRepositories } from '../../store/index.ts';
import { currentSummary, forgetDeleted } from './forgetting.ts';
import type { Summarizer } from './summaries.ts';
import { splitWindow, type Turn, toChatMessages, toTurns, windowOf } from './turns.ts';

/** What the bot remembers of a conversation. */
export interface Recollection {
  /** The newest whole turns, oldest first. */
  readonly messages: readonly ChatMessage[];
  /** What was said before them; null: nothing, or nothing summarised yet. */
  readonly summary: string | null;
}

export interface ConversationMemory {
  /** `before`: an answer of which some may be stored; that, and what follows it, is left out. */
  recall(repositories: MemoryRepositories, conversation: Conversation, before?: string): Promise<Recollection>;
  /** The same of turns that a client sent along, oldest first. */
  recallSent(history: readonly ChatMessage[]): Recollection;
  /** Whether texts fit into the window by far, so that they need not be counted. */
  isShort(texts: readonly string[]): boolean;
  /**
   * Takes the turns that have left the window into the rolling summary. Call it after an answer, off the hot path.
   * Resolves to whether there was anything to do.
   */
  consolidate(
    repositories: MemoryRepositories,
    conversationId: string,
    work: { readonly summarize: Summarizer; readonly signal?: AbortSignal },
  ): Promise<boolean>;
}

export type MemoryRepositories = Pick<TenantRepositories, 'bots' | 'chunks' | 'conversations' | 'messages'>;

export interface ConversationMemoryOptions {
  readonly counter: TokenCounter;
  readonly clock: Clock;
  /** Tokens of the newest turns that go into the prompt as they were said. */
  readonly windowTokens?: number;
}

const DEFAULT_WINDOW_TOKENS = 1500;
const MESSAGES_A_PAGE = 50;
/** Further back nothing is read: what was not summarised by then is forgotten. */
const MOST_PAGES = 4;

/** Memory as a window of whole turns by tokens plus a rolling summary of what came before it. */
export function createConversationMemory(options: ConversationMemoryOptions): ConversationMemory {
  const { counter, clock, windowTokens = DEFAULT_WINDOW_TOKENS } = options;
  const size = { maxTokens: windowTokens, counter };
  const read = async (repositories: MemoryRepositories, stored: Conversation, before?: string) => {
    const removedAt = await repositories.bots.contentRemovedAt(stored.botId);
    const conversation = currentSummary(stored, removedAt);
    const messages = await unsummarized(repositories, conversation);
    const end = messages.findIndex(({ id }) => id === before);
    const turns = toTurns(end < 0 ? messages : messages.slice(0, end));
    const { window, older } = splitWindow(turns, size);
    const forget = (some: readonly Turn[]): Promise<readonly Turn[]> =>
      forgetDeleted(some, { chunks: repositories.chunks, botId: stored.botId, removedAt });
    return { summary: conversation.summary, window, older, forget };
  };

  return {
    async recall(repositories, conversation, before) {
      const { summary, window, forget } = await read(repositories, conversation, before);
      return { messages: toChatMessages(await forget(window)), summary };
    },
    recallSent(history) {
      return { messages: windowOf(history, size), summary: null };
    },
    isShort: (texts) => texts.reduce((sum, { length }) => sum + length, 0) <= windowTokens,
    async consolidate(repositories, conversationId, { summarize, signal }) {
      const conversation = await repositories.conversations.get(conversationId);
      if (conversation === null) return false;
      const summarizedAt = clock.now();
      const { summary: previous, older, forget } = await read(repositories, conversation);
      const last: Turn | undefined = older.at(-1);
      if (last === undefined) return false;
      const summary = await summarize(previous, await forget(older), signal);
      await repositories.conversations.update(conversationId, {
        summary,
        summarizedThrough: last.answer.id,
        summarizedAt,
        updatedAt: clock.now(),
      });
      return true;
    },
  };
}

/** The messages after `summarizedThrough`, oldest first. */
async function unsummarized(repositories: MemoryRepositories, conversation: Conversation): Promise<Message[]> {
  const newestFirst: Message[] = [];
  let before: string | undefined;
  for (let page = 0; page < MOST_PAGES; page += 1) {
    const { items, hasMore } = await repositories.messages.list(conversation.id, {
      limit: MESSAGES_A_PAGE,
      order: 'desc',
      ...(before === undefined ? {} : { after: before }),
    });
    for (const message of items) {
      if (message.id === conversation.summarizedThrough) return newestFirst.reverse();
      newestFirst.push(message);
    }
    before = items.at(-1)?.id;
    if (!hasMore || before === undefined) break;
  }
  return newestFirst.reverse();
}
