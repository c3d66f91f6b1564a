import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openSqlite } from '../../adapters/sqlite/index.ts';
import { createManualClock, silentLogger } from '../../kernel/index.ts';
import type { Citation, Conversation, NewDocument, Store, TenantStore } from '../../store/index.ts';
import { createConversationMemory } from './conversation-memory.ts';
import { FORGOTTEN_ANSWER } from './forgetting.ts';
import type { Summarizer } from './summaries.ts';

const TENANT = 'tnt_1';
const BOT = 'bot_1';
const counter = { count: (text: string) => text.split(/\s+/u).length };

describe('what a bot remembers of deleted content', () => {
  const clock = createManualClock(1_000);
  let store: Store;
  let tenant: TenantStore;
  let conversation: Conversation;
  let messages: number;

  beforeEach(async () => {
    ({ store } = openSqlite({ file: ':memory:', clock, logger: silentLogger }));
    await store.start();
    await store.tenants.create({ id: TENANT, name: 'T', createdAt: 1, updatedAt: 1 });
    tenant = store.forTenant(TENANT);
    const texts = { instructions: null, model: null, temperature: null, maxOutputTokens: null, refusalMessage: null };
    const settings = { ...texts, retrieval: {}, privacy: { pii: 'off' as const }, metadata: {} };
    await tenant.bots.create({ id: BOT, name: 'B', slug: 'b', ...settings, createdAt: 1, updatedAt: 1 });
    const opened = { id: 'conv_1', botId: BOT, endUser: null, title: null, summary: null, metadata: {} };
    const times = { createdAt: clock.now(), updatedAt: clock.now() };
    await tenant.conversations.create({ ...opened, summarizedThrough: null, summarizedAt: null, ...times });
    conversation = await current();
    messages = 0;
  });
  afterEach(() => store.stop());

  async function current(): Promise<Conversation> {
    const found = await tenant.conversations.get('conv_1');
    if (found === null) throw new Error('the conversation is there');
    return found;
  }

  /** A source of one document; its id tells the version. */
  async function train(name: string, text: string, version = 1): Promise<void> {
    const now = clock.now();
    if (version === 1) {
      await tenant.sources.create({
        id: `src_${name}`,
        botId: BOT,
        type: 'text',
        title: name,
        url: null,
        status: 'ready',
        stage: null,
        progress: { done: 0, total: 0 },
        counts: { documents: 1, chunks: 1, tokens: 1, reused: 0 },
        lastError: null,
        jobId: null,
        externalKey: null,
        metadata: {},
        inputs: [],
        contentHash: '',
        createdAt: now,
        updatedAt: now,
      } as Parameters<TenantStore['sources']['create']>[0]);
    }
    const chunk = { position: 0, start: 0, end: text.length, text, headingPath: [], page: null, tokens: 1, hash: text };
    const about = { title: name, url: null, inputName: name, state: 'searchable' as const, lastError: null };
    const document: NewDocument = {
      document: { id: `doc_${name}${version}`, ...about, contentHash: text, text, tokens: 1 },
      chunks: [{ ...chunk, id: `chk_${name}${version}` }],
    };
    await tenant.documents.add(BOT, `src_${name}`, document);
  }

  async function say(question: string, answer: string, quoted?: { readonly name: string; readonly quote: string }) {
    await clock.advance(10);
    const append = (role: 'user' | 'assistant', content: string, citations: readonly Citation[]) => {
      messages += 1;
      const stored = { id: `msg_${messages}`, botId: BOT, conversationId: 'conv_1', role, content, citations };
      return tenant.messages.append({
        ...stored,
        status: 'complete',
        grounded: role === 'user' ? null : citations.length > 0,
        servedBy: null,
        createdAt: clock.now(),
      });
    };
    await append('user', question, []);
    await clock.advance(10);
    await append('assistant', answer, quoted === undefined ? [] : [citation(quoted.name, quoted.quote)]);
  }

  function citation(name: string, quote: string): Citation {
    const place = { index: 1, sourceId: `src_${name}`, documentId: `doc_${name}1`, chunkId: `chk_${name}1` };
    return { ...place, externalKey: null, title: name, url: null, page: null, start: 0, end: 1, quote, score: 1 };
  }

  const memory = createConversationMemory({ counter, clock, windowTokens: 1_000 });
  const recalled = async () => (await memory.recall(tenant, await current())).messages.map(({ content }) => content);

  it('forgets answers that quote a deleted source, with the response that deletes it', async () => {
    await train('launch', 'The code name is Zorblax.');
    await train('tea', 'Tea is steeped for two minutes.');
    await say('What is the code name?', 'It is Zorblax [1].', { name: 'launch', quote: 'The code name is Zorblax.' });
    await say('How long does tea take?', 'Two minutes [1].', { name: 'tea', quote: 'two minutes' });
    expect(await recalled()).toContain('It is Zorblax.');
    await tenant.sources.delete(BOT, 'src_launch');
    expect(await recalled()).toEqual([
      'What is the code name?',
      FORGOTTEN_ANSWER,
      'How long does tea take?',
      'Two minutes.',
    ]);
  });

  it('remembers what a newer version of the source still says, and forgets what it does not', async () => {
    await train('rules', 'Holidays are 30 days. The secret is Zorblax.');
    await say('How many holidays?', 'Thirty [1].', { name: 'rules', quote: 'Holidays are 30 days.' });
    await say('And the secret?', 'Zorblax [1].', { name: 'rules', quote: 'The secret is Zorblax.' });
    await train('rules', 'News. Holidays are 30 days.', 2);
    await tenant.documents.delete(['doc_rules1']);
    expect(await recalled()).toEqual(['How many holidays?', 'Thirty.', 'And the secret?', FORGOTTEN_ANSWER]);
  });

  it('forgets answers without quotes that were asked for before a deletion, and no later ones', async () => {
    await train('launch', 'The code name is Zorblax.');
    await say('And?', 'I think that it is Zorblax.');
    await tenant.sources.delete(BOT, 'src_launch');
    await say('Hello?', 'Hello to you.');
    expect(await recalled()).toEqual(['And?', FORGOTTEN_ANSWER, 'Hello?', 'Hello to you.']);
  });

  it('makes summaries anew that may hold what was deleted', async () => {
    const small = createConversationMemory({ counter, clock, windowTokens: 8 });
    const summarize: Summarizer = async (previous, turns) =>
      [previous ?? '', ...turns.map(({ answer }) => answer.content)].join('|');
    await train('launch', 'The code name is Zorblax.');
    await say('What is the code name?', 'It is Zorblax [1].', { name: 'launch', quote: 'The code name is Zorblax.' });
    await say('Thank you', 'Most welcome');
    await clock.advance(10);
    await small.consolidate(tenant, conversation.id, { summarize });
    expect((await small.recall(tenant, await current())).summary).toContain('Zorblax');
    await clock.advance(10);
    await tenant.sources.delete(BOT, 'src_launch');
    expect((await small.recall(tenant, await current())).summary).toBeNull();
    await clock.advance(10);
    await small.consolidate(tenant, conversation.id, { summarize });
    const { summary } = await small.recall(tenant, await current());
    expect(summary).toContain(FORGOTTEN_ANSWER);
    expect(summary).not.toContain('Zorblax');
  });
});
