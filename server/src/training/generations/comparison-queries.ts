import type { Bot, GenerationComparison, GoldenExpectation, TenantRepositories } from '../../store/index.ts';
import type { BotIndex, ComparedPassage } from './ports.ts';

/** Something to ask, and what must be found. */
export interface ComparisonQuery {
  readonly text: string;
  /** Each says whether a passage is one of those that are right; empty: not known. */
  readonly expected: readonly ((passage: ComparedPassage) => boolean)[];
}

interface QueryOptions {
  readonly tenant: Pick<TenantRepositories, 'goldenQuestions' | 'conversations' | 'messages' | 'chunks'>;
  readonly bot: Bot;
  readonly before: BotIndex;
}

const GOLDEN_QUESTIONS = 100;
const CONVERSATIONS = 20;
const MESSAGES = 20;
const HEADINGS = 40;
const SAMPLED_CHUNKS = 200;
const LONGEST_QUERY = 500;

/** The bot's golden questions; else headings of its content, whose documents are known, and what visitors asked lately. */
export async function comparisonQueries(
  options: QueryOptions,
): Promise<{ readonly basis: GenerationComparison['basis']; readonly queries: readonly ComparisonQuery[] }> {
  const { tenant, bot } = options;
  const golden = await tenant.goldenQuestions.list(bot.id, { limit: GOLDEN_QUESTIONS, order: 'desc' });
  if (golden.items.length > 0) {
    const queries = golden.items.map(({ question, expected }) => ({ text: question, expected: testsOf(expected) }));
    return { basis: 'golden', queries };
  }
  const queries = [...(await headings(options)), ...(await recentQuestions(options))];
  return { basis: queries.length === 0 ? 'none' : 'sampled', queries };
}

function testsOf({ externalKeys = [], sourceIds = [], text }: GoldenExpectation): ComparisonQuery['expected'] {
  const wanted = text === undefined ? null : plain(text);
  return [
    ...externalKeys.map((key) => (passage: ComparedPassage) => passage.externalKey === key),
    ...sourceIds.map((id) => (passage: ComparedPassage) => passage.sourceId === id),
    ...(wanted === null ? [] : [(passage: ComparedPassage) => plain(passage.text).includes(wanted)]),
  ];
}

function plain(text: string): string {
  return text.toLowerCase().replace(/\s+/g, ' ').trim();
}

/** A heading with its page's title names one document, mostly. */
async function headings({ tenant, bot, before }: QueryOptions): Promise<readonly ComparisonQuery[]> {
  const documents = new Map<string, Set<string>>();
  for (const chunk of await tenant.chunks.sample(bot.id, before.generation.chunkSet, SAMPLED_CHUNKS)) {
    const heading = chunk.headingPath.at(-1) ?? '';
    const text =
      heading === '' || heading === chunk.documentTitle ? chunk.documentTitle : `${chunk.documentTitle}: ${heading}`;
    const query = text.slice(0, LONGEST_QUERY).trim();
    if (query === '') continue;
    documents.set(query, (documents.get(query) ?? new Set()).add(chunk.documentId));
  }
  return [...documents]
    .filter(([, ids]) => ids.size === 1)
    .slice(0, HEADINGS)
    .map(([text, ids]) => ({ text, expected: [(passage: ComparedPassage) => ids.has(passage.documentId)] }));
}

async function recentQuestions({ tenant, bot }: QueryOptions): Promise<readonly ComparisonQuery[]> {
  const { items } = await tenant.conversations.list({ botId: bot.id, limit: CONVERSATIONS, order: 'desc' });
  const texts = new Set<string>();
  for (const { id } of items) {
    const messages = await tenant.messages.list(id, { limit: MESSAGES, order: 'desc' });
    for (const { role, content } of messages.items) {
      if (role === 'user' && content.trim() !== '') texts.add(content.trim().slice(0, LONGEST_QUERY));
    }
    if (texts.size >= MESSAGES) break;
  }
  return [...texts].slice(0, MESSAGES).map((text) => ({ text, expected: [] }));
}
