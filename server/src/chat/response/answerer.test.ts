import { describe, expect, it } from 'vitest';
import { createFakeChatModel, type FakeReply } from '../../adapters/fakes/index.ts';
import { createMemoryCache, createMemoryLeases } from '../../cache/index.ts';
import { AppError, createManualClock, silentLogger } from '../../kernel/index.ts';
import { createModelCaller, type ModelCaller, type TokenUsage } from '../../llm/index.ts';
import type { Bot, Conversation, Document, FoundChunk, Message, Store } from '../../store/index.ts';
import type { NewUsage } from '../ledger/index.ts';
import type { AnswerEvent, AnswerRequest, SearchRequest } from '../ports.ts';
import { createAnswerer } from './answerer.ts';
import { DEFAULT_REFUSAL_MESSAGE, NO_CONTENT_MESSAGE } from './refusal.ts';

const bot: Bot = {
  id: 'bot_1',
  tenantId: 'tnt_1',
  name: 'Ada',
  slug: 'ada',
  instructions: 'Say folks.',
  model: null,
  temperature: 0.2,
  maxOutputTokens: 500,
  refusalMessage: null,
  retrieval: {},
  privacy: { pii: 'off' },
  metadata: {},
  createdAt: 0,
  updatedAt: 0,
};

const text = 'Sick leave accrues at four hours per pay period. There is no maximum.';
const chunk: FoundChunk = {
  id: 'chk_1',
  tenantId: 'tnt_1',
  botId: 'bot_1',
  sourceId: 'src_1',
  documentId: 'doc_1',
  position: 0,
  start: 0,
  end: text.length,
  text,
  headingPath: [],
  page: null,
  tokens: 14,
  hash: 'h1',
  documentTitle: 'Leave',
  documentUrl: null,
  externalKey: null,
};

const counter = { count: (words: string) => words.split(/\s+/u).filter((word) => word !== '').length };

interface Scene {
  readonly replies?: readonly FakeReply[];
  readonly found?: readonly FoundChunk[];
  readonly sources?: number;
  readonly readsPrompts?: boolean;
  readonly documentText?: string;
  readonly memoryTokens?: number;
  readonly caller?: ModelCaller;
  /** Answers are kept for a second. */
  readonly keeps?: boolean;
}

function setUp(scene: Scene = {}) {
  const clock = createManualClock();
  const model = createFakeChatModel({ replies: scene.replies ?? ['Four hours per pay period [1].'], clock });
  const messages: Omit<Message, 'tenantId'>[] = [];
  const conversations = new Map<string, Conversation>();
  const usage: NewUsage[] = [];
  const documentsRead: string[] = [];
  const searches: SearchRequest[] = [];
  const measures: string[] = [];
  const repositories = {
    bots: { contentRemovedAt: async () => null, get: async () => bot },
    chunks: { holdQuotes: async (_bot: string, quotes: readonly unknown[]) => quotes.map(() => true) },
    conversations: {
      create: async (conversation: Conversation) => void conversations.set(conversation.id, conversation),
      get: async (id: string) => conversations.get(id) ?? null,
      update: async (id: string, changes: Partial<Conversation>) => {
        const kept = conversations.get(id);
        if (kept !== undefined) conversations.set(id, { ...kept, ...changes });
      },
    },
    messages: {
      append: async (message: Message) => void messages.push(message),
      list: async () => ({ items: messages.toReversed(), hasMore: false }),
    },
    sources: { list: async () => ({ items: Array.from({ length: scene.sources ?? 1 }), hasMore: false }) },
    documents: {
      getMany: async (ids: readonly string[]) => {
        documentsRead.push(...ids);
        return ids.map((id) => ({ id, text: scene.documentText ?? text }) as Document);
      },
    },
    transaction: async (work: (inside: unknown) => Promise<unknown>) => work(repositories),
  };
  let ids = 0;
  const meter = {
    count: (name: string, labels: object, amount = 1) =>
      void measures.push(`${name} ${Object.values(labels).join(' ')} ${amount}`),
    observe: (name: string, labels: object) => void measures.push(`${name} ${Object.values(labels).join(' ')}`),
    gauge: () => {},
  };
  const answerer = createAnswerer({
    store: { forTenant: () => repositories } as unknown as Store,
    searcher: {
      async search(_bot, request) {
        searches.push(request);
        const hits = (scene.found ?? [chunk]).map((found) => ({
          chunk: found,
          score: 0.9,
          scores: { dense: 0.5, lexical: 2 },
        }));
        return { query: request.query, hits, lexicalOnly: false };
      },
    },
    chooseModel: () => ({
      readsPrompts: scene.readsPrompts ?? true,
      caller:
        scene.caller ??
        createModelCaller({
          counter,
          model,
          deadlines: { firstTokenMs: 60_000, idleTokenMs: 60_000, totalMs: 60_000 },
          retries: { attempts: 1, baseDelayMs: 0, maxDelayMs: 0 },
          clock,
          logger: silentLogger,
          meter: { ...meter, observe: () => {}, count: () => {} },
        }),
    }),
    counter,
    ledger: { record: (row) => void usage.push(row) },
    clock,
    createId: (prefix) => {
      ids += 1;
      return `${prefix}_${ids}`;
    },
    logger: silentLogger,
    meter,
    ...(scene.keeps === true
      ? {
          answerCache: {
            cache: createMemoryCache({ maxBytes: 1_000_000, clock }),
            leases: createMemoryLeases({ clock }),
            ...{ ttlMs: 1000, staleMs: 5000, semantic: false, serverVersion: '1' },
          },
        }
      : {}),
    ...(scene.memoryTokens === undefined ? {} : { defaults: { memoryTokens: scene.memoryTokens } }),
  });
  return { answerer, clock, model, messages, conversations, usage, searches, measures, documentsRead };
}

const ask = (changes: Partial<AnswerRequest> = {}): AnswerRequest => ({
  bot,
  messages: [{ role: 'user', content: 'How much sick leave do I accrue?' }],
  ...changes,
});

async function readAll(events: AsyncIterable<AnswerEvent>): Promise<AnswerEvent[]> {
  const seen: AnswerEvent[] = [];
  for await (const event of events) seen.push(event);
  return seen;
}

const textOf = (events: readonly AnswerEvent[]): string =>
  events.map((event) => (event.type === 'text-delta' ? event.text : '')).join('');

function endOf(events: readonly AnswerEvent[]): Extract<AnswerEvent, { type: 'end' }> {
  const end = events.at(-1);
  if (end?.type !== 'end') throw new Error('the answer has no end');
  return end;
}

const signal = new AbortController().signal;

describe('answerer', () => {
  it('gives the answer of before when no model can be had any more, with its citations, and says so', async () => {
    let works = true;
    const caller: ModelCaller = {
      id: 'fake/model',
      async *stream(request, { lastResorts = [], signal: within = signal } = {}) {
        const [resort] = lastResorts;
        const begun = works ? null : await resort?.begin(request, within);
        const [servedBy, degraded] = works ? ['fake/model', []] : ['fake/model', [resort?.step ?? '']];
        if (!works && (begun === null || begun === undefined)) throw new AppError('provider_unreachable', 'No model.');
        yield { type: 'start', attempts: 1, servedBy, degraded };
        if (begun !== null && begun !== undefined) return yield* begun.events;
        yield { type: 'text-delta', text: 'Four hours per pay period [1].' };
        yield { type: 'end', finishReason: 'stop', usage: null };
      },
    };
    const { answerer, clock, messages } = setUp({ caller, keeps: true });
    const first = await readAll(answerer.answer(ask(), signal));
    expect(endOf(first).citations).toHaveLength(1);
    works = false;
    await clock.advance(1500);
    const second = await readAll(answerer.answer(ask({ conversation: true }), signal));
    expect(second[0]).toMatchObject({ type: 'start', cache: 'exact', attempts: 1, degraded: ['cached_answer'] });
    expect(textOf(second)).toBe(textOf(first));
    expect(endOf(second)).toMatchObject({ citations: endOf(first).citations, degraded: ['cached_answer'] });
    expect(messages.at(-1)).toMatchObject({ role: 'assistant', status: 'complete', grounded: true });
    const other = { ...bot, contentRevision: 'another' };
    await expect(readAll(answerer.answer(ask({ bot: other }), signal))).rejects.toMatchObject({
      code: 'provider_unreachable',
    });
    await clock.advance(6000);
    await expect(readAll(answerer.answer(ask(), signal))).rejects.toMatchObject({ code: 'provider_unreachable' });
  });

  it('starts once, says the text and ends with verified citations', async () => {
    const { answerer, measures } = setUp();
    const events = await readAll(answerer.answer(ask(), signal));
    expect(events[0]).toEqual({
      type: 'start',
      messageId: 'msg_1',
      cache: 'miss',
      conversationId: null,
      servedBy: 'fake/model',
      attempts: 1,
      degraded: [],
      passages: expect.stringMatching(/^[\w-]{22}$/),
    });
    expect(events.filter(({ type }) => type === 'start')).toHaveLength(1);
    expect(textOf(events)).toBe('Four hours per pay period [1].');
    const { citations, grounded } = endOf(events);
    expect(grounded).toBe(true);
    expect(citations.map(({ quote }) => quote)).toEqual(['Sick leave accrues at four hours per pay period.']);
    expect(measures).toContain('chatsphere_answers_total grounded 1');
    expect(measures).toContain('ai_response_time_seconds fake/model chat');
  });

  it('is not grounded on a document that changed under it', async () => {
    const { answerer } = setUp({ documentText: `Changed. ${text}` });
    expect(endOf(await readAll(answerer.answer(ask(), signal)))).toMatchObject({ citations: [], grounded: false });
  });

  it('never lets a marker of a passage that does not exist reach the client', async () => {
    const { answerer, messages } = setUp({
      replies: [[{ say: 'Four hours [' }, { say: '7' }, { say: '].' }, { end: 'stop' }]],
    });
    const events = await readAll(answerer.answer(ask({ conversation: true }), signal));
    expect(textOf(events)).toBe('Four hours.');
    expect(messages.at(-1)?.content).toBe('Four hours.');
  });

  it('passes on how the model is to answer, and takes no list in JSON for a marker', async () => {
    const { answerer, model } = setUp({ replies: [[{ say: '{"hours": [4' }, { say: '7]}' }, { end: 'stop' }]] });
    const settings = {
      presencePenalty: 1,
      frequencyPenalty: -1,
      reasoningEffort: 'low',
      responseFormat: { type: 'json_object' },
    } as const;
    expect(textOf(await readAll(answerer.answer(ask(settings), signal)))).toBe('{"hours": [47]}');
    expect(model.calls[0]?.request).toMatchObject(settings);
  });

  it('gives the model the passages, its owner’s and the client’s instructions, earlier turns and the owner’s limits', async () => {
    const { answerer, model, searches } = setUp();
    const messages = [
      { role: 'system', content: 'Answer in rhyme.' },
      { role: 'user', content: 'Hello' },
      { role: 'assistant', content: 'Hi' },
      { role: 'user', content: 'How much sick leave?' },
    ] as const;
    await readAll(answerer.answer(ask({ messages, maxOutputTokens: 900, stop: ['END'], endUser: 'u1' }), signal));
    const request = model.calls[0]?.request;
    const [system, ...turns] = request?.messages ?? [];
    for (const part of [text, 'Say folks.', 'Answer in rhyme.', DEFAULT_REFUSAL_MESSAGE]) {
      expect(system?.content).toContain(part);
    }
    expect(turns.map(({ content }) => content)).toEqual(['Hello', 'Hi', 'How much sick leave?']);
    expect(request).toMatchObject({ temperature: 0.2, maxOutputTokens: 500, stop: ['END'], endUser: 'u1' });
    expect(request?.grounding?.passages).toHaveLength(1);
    expect(searches[0]?.messages?.map(({ content }) => content)).toEqual(['Hello', 'Hi']);
  });

  it('declines without asking the model when a trained bot finds nothing', async () => {
    const { answerer, model, usage, measures } = setUp({ found: [] });
    const events = await readAll(answerer.answer(ask(), signal));
    await answerer.drain();
    expect(textOf(events)).toBe(DEFAULT_REFUSAL_MESSAGE);
    expect(endOf(events)).toMatchObject({ grounded: false, usage: { inputTokens: 0, outputTokens: 0 } });
    expect(model.calls).toEqual([]);
    expect(usage).toEqual([]);
    expect(measures).toContain('chatsphere_answers_total declined 1');
  });

  it('takes the refusal message for a refusal, whatever stands around it', async () => {
    const { answerer, measures } = setUp({ replies: [`"${DEFAULT_REFUSAL_MESSAGE}" [1]`] });
    expect(endOf(await readAll(answerer.answer(ask(), signal)))).toMatchObject({ citations: [], grounded: false });
    expect(measures).toContain('chatsphere_answers_total declined 1');
  });

  it('talks freely for a bot without sources, or says that there is nothing yet', async () => {
    const free = setUp({ found: [], sources: 0, replies: ['Hello there'] });
    expect(textOf(await readAll(free.answerer.answer(ask(), signal)))).toBe('Hello there');
    expect(free.model.calls[0]?.request.grounding).toBeNull();
    const mute = setUp({ found: [], sources: 0, readsPrompts: false });
    expect(textOf(await readAll(mute.answerer.answer(ask(), signal)))).toBe(NO_CONTENT_MESSAGE);
  });

  it('keeps a conversation: question, answer, and both again in the next prompt', async () => {
    const { answerer, messages, conversations, model } = setUp({ replies: ['Four hours [1].', 'Yes [1].'] });
    const [start] = await readAll(answerer.answer(ask({ conversation: true, endUser: 'u1' }), signal));
    const id = start?.type === 'start' ? start.conversationId : null;
    expect(conversations.get(id ?? '')).toMatchObject({
      botId: 'bot_1',
      endUser: 'u1',
      title: 'How much sick leave do I accrue?',
    });
    expect(messages.map(({ role, status }) => `${role} ${status}`)).toEqual(['user complete', 'assistant complete']);
    expect(messages[1]).toMatchObject({ grounded: true, servedBy: 'fake/model' });

    const followUp = ask({ conversation: id ?? '', messages: [{ role: 'user', content: 'Really?' }], endUser: 'u1' });
    await readAll(answerer.answer(followUp, signal));
    expect(model.calls[1]?.request.messages.slice(1).map(({ content }) => content)).toEqual([
      'How much sick leave do I accrue?',
      'Four hours.',
      'Really?',
    ]);
  });

  it('summarises what leaves the window in the background', async () => {
    const { answerer, conversations, usage } = setUp({ replies: ['Four hours [1].', 'A summary.'], memoryTokens: 2 });
    await readAll(answerer.answer(ask({ conversation: true }), signal));
    await expect.poll(() => [...conversations.values()][0], { interval: 1 }).toMatchObject({ summary: 'A summary.' });
    expect([...conversations.values()][0]).toMatchObject({ summarizedThrough: 'msg_3' });
    await answerer.drain();
    expect(usage).toHaveLength(2);
  });

  it('gives up the model’s summary when the process stops, and makes it with the next turn', async () => {
    const replies = ['Four hours [1].', [{ hang: true as const }]];
    const { answerer, conversations, model, usage } = setUp({ replies, memoryTokens: 2 });
    await readAll(answerer.answer(ask({ conversation: true }), signal));
    await expect.poll(() => model.calls.length, { interval: 1 }).toBe(2);
    await answerer.drain();
    expect(model.calls[1]?.outcome).toBe('aborted');
    expect([...conversations.values()][0]).toMatchObject({ summary: null, summarizedThrough: null });
    expect(usage.map(({ kind, outcome, requests }) => [kind, outcome, requests])).toEqual([
      ['chat', 'ok', 1],
      ['summary', 'cancelled', 0],
    ]);
  });

  it.each([
    ['unknown', { endUser: undefined }],
    ['of another end user', { endUser: 'u2' }],
    ['of an end user, when none is named', { endUser: undefined }],
  ])('does not find a conversation that is %s', async (kind, { endUser }) => {
    const { answerer, conversations, model } = setUp();
    const [start] = await readAll(answerer.answer(ask({ conversation: true, endUser: 'u1' }), signal));
    const id = start?.type === 'start' ? (start.conversationId ?? '') : '';
    expect(conversations.has(id)).toBe(true);
    const request = ask({
      conversation: kind === 'unknown' ? 'conv_x' : id,
      ...(endUser === undefined ? {} : { endUser }),
    });
    await expect(readAll(answerer.answer(request, signal))).rejects.toMatchObject({ code: 'conversation_not_found' });
    const other = ask({ conversation: id, bot: { ...bot, id: 'bot_2' } });
    await expect(readAll(answerer.answer(other, signal))).rejects.toMatchObject({ code: 'conversation_not_found' });
    expect(model.calls).toHaveLength(1);
  });

  it('lets anybody with the key go on with a conversation of nobody in particular', async () => {
    const { answerer } = setUp({ replies: ['One [1].', 'Two [1].'] });
    const [start] = await readAll(answerer.answer(ask({ conversation: true }), signal));
    const id = start?.type === 'start' ? (start.conversationId ?? '') : '';
    const [next] = await readAll(answerer.answer(ask({ conversation: id, endUser: 'u1' }), signal));
    expect(next).toMatchObject({ conversationId: id });
  });

  it.each([
    ['question', { role: 'user', content: 'x'.repeat(32_001) }],
    ['system messages', { role: 'system', content: 'x'.repeat(32_001) }],
  ] as const)('refuses %s that are longer than any needs to be', async (part, message) => {
    const { answerer, conversations, searches } = setUp();
    const question = { role: 'user', content: 'Really?' } as const;
    const messages = message.role === 'user' ? [question, message] : [message, question];
    const answer = answerer.answer(ask({ messages, conversation: true }), signal);
    await expect(readAll(answer)).rejects.toMatchObject({
      code: 'context_length_exceeded',
      param: 'messages',
      message: expect.stringContaining(part),
    });
    expect([conversations.size, searches.length]).toEqual([0, 0]);
  });

  it('gives the model as much of what the client sent along as memory holds, but searches with it all', async () => {
    const { answerer, model, searches } = setUp({ memoryTokens: 4 });
    const messages = [
      { role: 'user', content: 'An old question' },
      { role: 'assistant', content: 'An old answer' },
      { role: 'user', content: 'Hello' },
      { role: 'assistant', content: 'Hi' },
      { role: 'user', content: 'How much sick leave?' },
    ] as const;
    await readAll(answerer.answer(ask({ messages }), signal));
    const said = model.calls[0]?.request.messages.slice(1).map(({ content }) => content);
    expect(said).toEqual(['Hello', 'Hi', 'How much sick leave?']);
    expect(searches[0]?.messages).toHaveLength(4);
  });

  it('joins neighbouring chunks, and reads their document once for that and for the citations', async () => {
    const [first = '', second = ''] = text.split(/(?<=\.) /u);
    const part = (id: string, words: string): FoundChunk => {
      const start = text.indexOf(words);
      return { ...chunk, id, hash: id, text: words, start, end: start + words.length };
    };
    const found = [part('chk_b', second), part('chk_a', first)];
    const { answerer, model, documentsRead } = setUp({ found });
    const { citations } = endOf(await readAll(answerer.answer(ask(), signal)));
    expect(model.calls[0]?.request.grounding?.passages.map((passage) => passage.text)).toEqual([text]);
    expect(citations).toMatchObject([{ chunkId: 'chk_a', quote: first, start: 0 }]);
    expect(documentsRead).toEqual(['doc_1']);
  });

  it.each([
    ['CUSTOMER_SERVICE', true],
    ['DEFAULT', false],
    ['toString', false],
    [7, false],
  ])('plays the role that the bot’s metadata name: %j', async (template, isService) => {
    const { answerer, model } = setUp();
    const asked = ask({ bot: { ...bot, metadata: { prompt_template: template } } });
    await readAll(answerer.answer(asked, signal));
    expect(model.calls[0]?.request.messages[0]?.content.includes('customer service agent')).toBe(isService);
  });

  it('fills in a template of the owner’s, and never what a user says', async () => {
    const { answerer, model } = setUp();
    const own = { ...bot, prompt: { text: 'I am {{bot_name}}. {{rules}} {{passages}}' } };
    const messages = [{ role: 'user' as const, content: 'What is {{passages}}?' }];
    await readAll(answerer.answer(ask({ bot: own, messages }), signal));
    const [system, question] = model.calls[0]?.request.messages ?? [];
    expect(system?.content).toMatch(/^I am Ada\. /);
    expect(question?.content).toBe('What is {{passages}}?');
  });

  it('refuses messages that end without a question', async () => {
    const { answerer } = setUp();
    for (const messages of [
      [],
      [{ role: 'assistant' as const, content: 'Hi' }],
      [{ role: 'user' as const, content: ' ' }],
    ]) {
      await expect(readAll(answerer.answer(ask({ messages }), signal))).rejects.toMatchObject({
        code: 'invalid_request',
        param: 'messages',
      });
    }
  });

  it('commits to nothing when the model fails before it speaks', async () => {
    const { answerer, usage, messages, measures } = setUp({ replies: [new AppError('provider_error', 'no')] });
    const seen: AnswerEvent[] = [];
    const reading = (async () => {
      for await (const event of answerer.answer(ask({ conversation: true }), signal)) seen.push(event);
    })();
    await expect(reading).rejects.toMatchObject({ code: 'provider_error' });
    await answerer.drain();
    expect(seen).toEqual([]);
    expect(messages.map(({ role }) => role)).toEqual(['user']);
    expect(usage.map(({ outcome }) => outcome)).toEqual(['failed']);
    expect(measures).toContain('ai_error_total fake/model provider_error 1');
    expect(measures).toContain('chatsphere_answers_total failed 1');
  });

  it('ends with an error and keeps the part when the model breaks off', async () => {
    const broken = [{ say: 'Four hours' }, { fail: new AppError('provider_error', 'no') }];
    const { answerer, messages, usage } = setUp({ replies: [broken] });
    await expect(readAll(answerer.answer(ask({ conversation: true }), signal))).rejects.toBeInstanceOf(AppError);
    await answerer.drain();
    expect(messages.at(-1)).toMatchObject({
      role: 'assistant',
      content: 'Four hours',
      status: 'incomplete',
      grounded: false,
    });
    expect(usage[0]).toMatchObject({ outcome: 'failed', outputTokens: 2 });
  });

  it('cancels the model at once when the reader leaves, and keeps the part', async () => {
    const { answerer, model, messages, usage, measures } = setUp({
      replies: [[{ say: 'Four hours' }, { hang: true }]],
    });
    const events = answerer.answer(ask({ conversation: true }), signal)[Symbol.asyncIterator]();
    await events.next();
    await events.next();
    const waiting = events.next().catch((error: unknown) => error);
    await events.return?.();
    expect(await waiting).toMatchObject({ code: 'request_aborted' });
    await answerer.drain();
    expect(model.calls[0]?.outcome).toBe('aborted');
    expect(messages.at(-1)).toMatchObject({ content: 'Four hours', status: 'incomplete' });
    expect(usage[0]).toMatchObject({ outcome: 'cancelled' });
    expect(measures).toContain('chatsphere_answers_total cancelled 1');
  });

  it('says about what was used as it goes, and exactly at the end whatever the end', async () => {
    const reports: TokenUsage[] = [];
    const report = (used: TokenUsage) => void reports.push(used);
    const whole = setUp({ replies: [[{ say: 'Four ' }, { say: 'hours.' }, { end: 'stop' }]] });
    const { usage } = endOf(await readAll(whole.answerer.answer(ask(), signal, report)));
    expect(reports.map(({ outputTokens }) => outputTokens)).toEqual([0, 1, 3, 2]);
    expect(reports.at(-1)).toEqual(usage);
    expect(usage.inputTokens).toBeGreaterThan(20);
    const [{ inputTokens: estimate } = usage] = reports;
    expect(estimate / usage.inputTokens).toBeGreaterThan(0.7);
    expect(estimate / usage.inputTokens).toBeLessThan(1.5);

    reports.length = 0;
    const broken = setUp({ replies: [[{ say: 'Four hours' }, { fail: new AppError('provider_error', 'no') }]] });
    await expect(readAll(broken.answerer.answer(ask(), signal, report))).rejects.toBeInstanceOf(AppError);
    expect(reports.at(-1)).toEqual({ inputTokens: usage.inputTokens, outputTokens: 2 });

    reports.length = 0;
    const left = setUp({ replies: [[{ hang: true }]] });
    const events = left.answerer.answer(ask(), signal, report)[Symbol.asyncIterator]();
    const waiting = events.next().catch((error: unknown) => error);
    await expect.poll(() => reports.length, { interval: 1 }).toBe(1);
    expect(reports).toEqual([{ inputTokens: estimate, outputTokens: 0 }]);
    await events.return?.();
    await waiting;
  });

  it('cancels the model when the request is aborted', async () => {
    const client = new AbortController();
    const { answerer, model } = setUp({ replies: [[{ say: 'Four' }, { hang: true }]] });
    const reading = (async () => {
      for await (const event of answerer.answer(ask(), client.signal)) if (event.type === 'text-delta') client.abort();
    })();
    await expect(reading).rejects.toMatchObject({ code: 'request_aborted' });
    expect(['aborted', 'left']).toContain(model.calls[0]?.outcome);
  });
});

describe('an answer that another process began', () => {
  /** An answer whose process dies behind so many pieces of its text, in a conversation of its own. */
  async function leftBehind(pieces: number, scene: Scene = {}) {
    const setting = setUp({ replies: ['Four hours per pay period [1].', ...(scene.replies ?? [])], ...rest(scene) });
    const events = setting.answerer
      .answer(ask({ conversation: true, messageId: 'msg_told' }), signal)
      [Symbol.asyncIterator]();
    const start = (await events.next()).value;
    if (start?.type !== 'start') throw new Error('the answer has no start');
    const told: string[] = [];
    while (told.length < pieces) {
      const event = (await events.next()).value;
      if (event?.type === 'text-delta') told.push(event.text);
    }
    await events.return?.();
    // Nothing of it was stored but the question: the process was killed.
    const places = setting.messages.flatMap(({ role }, place) => (role === 'assistant' ? [place] : []));
    for (const place of places.toReversed()) setting.messages.splice(place, 1);
    setting.usage.splice(0);
    const { conversationId, servedBy, passages = null } = start;
    const continues = { conversationId, servedBy, passages, pieces: told };
    const goOn = (changes: Partial<AnswerRequest> = {}) =>
      readAll(
        setting.answerer.answer(ask({ conversation: true, messageId: 'msg_told', continues, ...changes }), signal),
      );
    return { ...setting, told, continues, goOn };
  }

  const rest = ({ replies: _, ...scene }: Scene): Scene => scene;

  it('is gone on with by the model, and stored as one', async () => {
    const { goOn, told, model, messages, usage } = await leftBehind(2, { replies: ['per pay period [1].'] });
    const events = await goOn({ maxOutputTokens: 50 });
    const whole = 'Four hours per pay period [1].';
    expect(told.join('') + textOf(events)).toBe(whole);
    const { request } = model.calls[1] ?? {};
    expect(request?.messages.at(-2)).toEqual({ role: 'assistant', content: told.join('') });
    expect(request?.messages.at(-1)?.role).toBe('user');
    expect(request?.maxOutputTokens).toBe(48);
    expect(messages.map(({ role }) => role)).toEqual(['user', 'assistant']);
    const stored = messages[1];
    expect(stored).toMatchObject({ id: 'msg_told', content: whole, status: 'complete', grounded: true });
    expect(stored?.stream?.pieces.reduce((sum, length) => sum + length, 0)).toBe(whole.length);
    const end = endOf(events);
    expect(end.citations.map(({ quote }) => quote)).toEqual(['Sick leave accrues at four hours per pay period.']);
    const rows = usage.map(({ requests, outcome, answerId, usageSource }) => ({
      requests,
      outcome,
      answerId,
      usageSource,
    }));
    expect(rows).toEqual([
      { requests: 0, outcome: 'failed', answerId: 'msg_told', usageSource: 'counted' },
      { requests: 1, outcome: 'ok', answerId: 'msg_told', usageSource: 'provider' },
    ]);
    expect(end.usage.inputTokens).toBe(usage.reduce((sum, { inputTokens }) => sum + inputTokens, 0));
    expect(end.usage.outputTokens).toBe(usage.reduce((sum, { outputTokens }) => sum + outputTokens, 0));
  });

  it('costs only what is not in the ledger yet, when it was handed over', async () => {
    const { goOn, continues, usage } = await leftBehind(2, { replies: ['per pay period [1].', 'per pay period [1].'] });
    const counted = () => usage.splice(0).map(({ requests, outcome, usageSource }) => [requests, outcome, usageSource]);
    await goOn({ continues: { ...continues, booked: 2 } });
    expect(counted()).toEqual([[0, 'ok', 'provider']]);
    await goOn({ continues: { ...continues, booked: 1 } });
    expect(counted()).toEqual([
      [0, 'failed', 'counted'],
      [0, 'ok', 'provider'],
    ]);
  });

  it('remembers nothing of itself', async () => {
    const { goOn, continues, model, messages } = await leftBehind(2, { replies: ['per pay period [1].'] });
    const [question] = messages;
    const { conversationId } = continues;
    if (question === undefined || conversationId === null) throw new Error('nothing was stored');
    messages.push({ ...question, id: 'msg_told', role: 'assistant', content: 'Four hours', status: 'incomplete' });
    await goOn({ conversation: conversationId });
    expect(model.calls[1]?.request.messages.filter(({ content }) => content.startsWith('Four hours'))).toHaveLength(1);
    expect(model.calls[1]?.request.messages.filter(({ content }) => content === question.content).length).toBeLessThan(
      2,
    );
  });

  it('is stored as it was told when it is stopped before anything more is said', async () => {
    const { answerer, continues, told, model, messages, usage } = await leftBehind(2);
    const stopped = AbortSignal.abort(new AppError('answer_stopped', 'The answer was stopped.'));
    const request = ask({ conversation: true, messageId: 'msg_told', continues });
    await expect(readAll(answerer.answer(request, stopped))).rejects.toMatchObject({ code: 'answer_stopped' });
    expect(messages.at(-1)).toMatchObject({
      ...{ id: 'msg_told', content: told.join(''), status: 'incomplete', servedBy: continues.servedBy },
      stream: { finishReason: 'cancelled' },
    });
    expect([model.calls.length, usage.length]).toEqual([1, 0]);
  });

  it('has nothing twice when the model repeats it, and no false refusal', async () => {
    const whole = 'Four hours per pay period [1].';
    const { goOn, told } = await leftBehind(3, { replies: [whole] });
    const events = await goOn();
    expect(told.join('') + textOf(events)).toBe(whole);
    expect(endOf(events).grounded).toBe(true);
  });

  it('is made once more without a model that reads prompts, and must begin as it did', async () => {
    const whole = 'Four hours per pay period [1].';
    const same = await leftBehind(2, { replies: [whole], readsPrompts: false });
    const events = await same.goOn();
    expect(same.told.join('') + textOf(events)).toBe(whole);
    expect(same.model.calls[1]?.request.messages.at(-1)?.role).toBe('user');
    expect(same.messages.at(-1)).toMatchObject({ content: whole, status: 'complete' });
    const another = await leftBehind(2, { replies: ['Five hours.'], readsPrompts: false });
    await expect(another.goOn()).rejects.toMatchObject({ code: 'stream_interrupted' });
    expect(another.messages.at(-1)).toMatchObject({ id: 'msg_told', content: 'Four hours', status: 'incomplete' });
  });

  it('breaks off when its markers would point elsewhere, and when it is JSON', async () => {
    for (const changes of [{ passages: 'others' }, {}]) {
      const { goOn, continues, model, messages, usage } = await leftBehind(2);
      const request = 'passages' in changes ? {} : { responseFormat: { type: 'json_object' } as const };
      const failed = goOn({ continues: { ...continues, ...changes }, ...request });
      await expect(failed).rejects.toMatchObject({ code: 'stream_interrupted' });
      expect(model.calls).toHaveLength(1);
      expect(messages.at(-1)).toMatchObject({ content: 'Four hours', status: 'incomplete' });
      expect(usage.map(({ outcome }) => outcome)).toEqual(['failed']);
    }
  });

  it('is neither taken from the cache nor put into it', async () => {
    const { goOn, answerer, model } = await leftBehind(2, { replies: ['per pay period [1].', 'Anew.'], keeps: true });
    await goOn();
    const kept = await readAll(answerer.answer(ask(), signal));
    expect([kept[0], model.calls.length]).toEqual([expect.objectContaining({ cache: 'exact' }), 2]);
    expect(textOf(kept)).toBe('Four hours per pay period [1].');
  });
});
