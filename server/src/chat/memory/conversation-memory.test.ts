import { describe, expect, it } from 'vitest';
import { createFakeChatModel } from '../../adapters/fakes/index.ts';
import { AppError, createManualClock, silentLogger, silentMeter } from '../../kernel/index.ts';
import { createModelCaller, type ModelCallReport } from '../../llm/index.ts';
import type { Conversation, Message } from '../../store/index.ts';
import { createConversationMemory, type MemoryRepositories } from './conversation-memory.ts';
import { createExtractiveSummarizer, createModelSummarizer } from './summaries.ts';

const counter = { count: (text: string) => text.split(/\s+/u).filter((word) => word !== '').length };
const clock = createManualClock(5000);

const conversation: Conversation = {
  id: 'conv_1',
  tenantId: 'tnt_1',
  botId: 'bot_1',
  endUser: null,
  title: null,
  summary: null,
  summarizedThrough: null,
  summarizedAt: null,
  metadata: {},
  createdAt: 0,
  updatedAt: 0,
};

function repositoriesWith(turns: readonly (readonly [question: string, answer: string | null])[]) {
  let kept = conversation;
  const messages: Message[] = turns.flatMap(([question, answer], position) => [
    messageOf(`msg_${position}a`, 'user', question),
    ...(answer === null ? [] : [messageOf(`msg_${position}b`, 'assistant', answer)]),
  ]);
  const repositories = {
    bots: { contentRemovedAt: async () => null },
    chunks: { holdQuotes: async () => [] },
    conversations: {
      get: async () => kept,
      update: async (_id: string, changes: Partial<Conversation>) => {
        kept = { ...kept, ...changes };
      },
    },
    messages: {
      list: async (_id: string, { limit, after }: { limit: number; after?: string }) => {
        const newestFirst = messages.toReversed();
        const from = after === undefined ? 0 : newestFirst.findIndex(({ id }) => id === after) + 1;
        return { items: newestFirst.slice(from, from + limit), hasMore: newestFirst.length > from + limit };
      },
    },
  };
  return { repositories: repositories as unknown as MemoryRepositories, conversation: () => kept };
}

function messageOf(id: string, role: Message['role'], content: string): Message {
  return {
    id,
    tenantId: 'tnt_1',
    botId: 'bot_1',
    conversationId: 'conv_1',
    role,
    content,
    status: 'complete',
    citations: [],
    grounded: null,
    servedBy: null,
    createdAt: 0,
  };
}

const memory = createConversationMemory({ counter, clock, windowTokens: 10 });

describe('conversation memory', () => {
  it('recalls the newest whole turns that fit, without the markers of their passages', async () => {
    const { repositories } = repositoriesWith([
      ['one two three', 'four five six'],
      ['seven', 'eight [2]. Nine [1]'],
      ['ten', 'eleven'],
    ]);
    const { messages, summary } = await memory.recall(repositories, conversation);
    expect(messages.map(({ content }) => content)).toEqual(['seven', 'eight. Nine', 'ten', 'eleven']);
    expect(summary).toBeNull();
  });

  it('leaves out questions that got no answer', async () => {
    const { repositories } = repositoriesWith([
      ['lost', null],
      ['ten', 'eleven'],
    ]);
    const { messages } = await memory.recall(repositories, conversation);
    expect(messages.map(({ content }) => content)).toEqual(['ten', 'eleven']);
  });

  it('keeps the newest whole turns that a client sent, as they were sent', () => {
    const sent = [
      { role: 'assistant', content: 'Welcome' },
      { role: 'user', content: 'one two three' },
      { role: 'assistant', content: 'four five six' },
      { role: 'user', content: 'seven' },
      { role: 'user', content: 'eight' },
      { role: 'assistant', content: 'nine [1] ten' },
      { role: 'assistant', content: 'eleven' },
    ] as const;
    expect(memory.recallSent(sent)).toEqual({ messages: sent.slice(3), summary: null });
    expect(memory.recallSent(sent.slice(3))).toEqual({ messages: sent.slice(3), summary: null });
    const long = { role: 'user', content: 'word '.repeat(11) } as const;
    expect(memory.recallSent([...sent, long]).messages).toEqual([]);
    expect(memory.recallSent([]).messages).toEqual([]);
  });

  it('does not count what is far too long', () => {
    const counted: number[] = [];
    const watched = { count: (text: string) => counted.push(text.length) };
    const sent = [{ role: 'user', content: 'x'.repeat(1_000_000) }] as const;
    const narrow = createConversationMemory({ counter: watched, clock, windowTokens: 100 });
    expect(narrow.recallSent(sent).messages).toEqual([]);
    expect(counted).toEqual([]);
  });

  it('reads long conversations page by page', async () => {
    const turns = Array.from({ length: 60 }, (_, turn) => [`q${turn}`, `a${turn}`] as const);
    const { repositories } = repositoriesWith(turns);
    const wide = createConversationMemory({ counter, clock, windowTokens: 1000 });
    const { messages } = await wide.recall(repositories, conversation);
    expect(messages).toHaveLength(120);
    expect(messages[0]?.content).toBe('q0');
  });

  it('takes what left the window into the summary, once', async () => {
    const kept = repositoriesWith([
      ['How much leave do I get?', 'You get ten days [1]. There is more.'],
      ['And sick leave?', 'Four hours a pay period, with no maximum at all [1].'],
    ]);
    const summarize = createExtractiveSummarizer(counter);
    expect(await memory.consolidate(kept.repositories, 'conv_1', { summarize })).toBe(true);
    expect(kept.conversation().summary).toContain('Asked: How much leave do I get? Answered: You get ten days.');
    expect(kept.conversation().summarizedThrough).toBe('msg_1b');
    expect(kept.conversation().updatedAt).toBe(5000);
    expect(await memory.consolidate(kept.repositories, 'conv_1', { summarize })).toBe(false);
    const { messages, summary } = await memory.recall(kept.repositories, kept.conversation());
    expect(messages).toEqual([]);
    expect(summary).toBe(kept.conversation().summary);
  });

  it('has nothing to do while everything fits', async () => {
    const { repositories } = repositoriesWith([['ten', 'eleven']]);
    const summarize = async (): Promise<string> => Promise.reject(new Error('not expected'));
    expect(await memory.consolidate(repositories, 'conv_1', { summarize })).toBe(false);
  });
});

describe('summaries', () => {
  const turns = Array.from({ length: 80 }, (_, turn) => ({
    question: messageOf(`msg_${turn}a`, 'user', `Question number ${turn} about leave?`),
    answer: messageOf(`msg_${turn}b`, 'assistant', `Answer number ${turn} is this [1]. And more.`),
  }));

  it('stay bounded without a model, keeping the newest', async () => {
    const summary = await createExtractiveSummarizer(counter)('Asked: an old thing Answered: long ago', turns);
    expect(counter.count(summary)).toBeLessThanOrEqual(300);
    expect(summary).toContain('Answer number 79 is this.');
    expect(summary).not.toContain('long ago');
  });

  it('are made of the openings of long messages', async () => {
    for (const run of ['{{', '<a ', '<!--', '[^', '[a](', ' ']) {
      const long = {
        question: messageOf('msg_a', 'user', run.repeat(200_000 / run.length)),
        answer: messageOf('msg_b', 'assistant', run.repeat(200_000 / run.length)),
      };
      const startedAt = performance.now();
      await createExtractiveSummarizer(counter)(null, [long, long, long]);
      expect(performance.now() - startedAt).toBeLessThan(500);
    }
    const { model, caller } = callerOf('Done.');
    const long = {
      question: messageOf('msg_a', 'user', 'q'.repeat(30_000)),
      answer: messageOf('msg_b', 'assistant', 'a'),
    };
    await createModelSummarizer({ caller, onCall: () => {} })(null, [long]);
    expect(model.calls[0]?.request.messages.at(-1)?.content.length).toBeLessThan(3000);
  });

  function callerOf(reply: string | AppError) {
    const model = createFakeChatModel({ replies: [reply] });
    const caller = createModelCaller({
      counter,
      model,
      deadlines: { firstTokenMs: 1000, idleTokenMs: 1000, totalMs: 1000 },
      retries: { attempts: 1, baseDelayMs: 0, maxDelayMs: 0 },
      clock,
      logger: silentLogger,
      meter: silentMeter,
    });
    return { model, caller };
  }

  it('are written by the model from the old summary and the turns, and accounted for', async () => {
    const { model, caller } = callerOf('They asked about leave.');
    const usage: ModelCallReport[] = [];
    const summarize = createModelSummarizer({ caller, onCall: (report) => usage.push(report) });
    expect(await summarize('Earlier: hello', turns.slice(0, 1))).toBe('They asked about leave.');
    const prompt = model.calls[0]?.request.messages.at(-1)?.content;
    expect(prompt).toContain('Earlier: hello');
    expect(prompt).toContain('user: Question number 0 about leave?');
    expect(usage).toMatchObject([{ outcome: 'ok', model: 'fake/model' }]);
  });

  it('reject when the model fails', async () => {
    const { caller } = callerOf(new AppError('provider_error', 'no'));
    const summarize = createModelSummarizer({ caller, onCall: () => {} });
    await expect(summarize(null, turns)).rejects.toMatchObject({ code: 'provider_error' });
  });
});
