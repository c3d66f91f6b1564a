import { describe, expect, it } from 'vitest';
import { type CacheKey, createMemoryCache, createMemoryLeases, type Leases } from '../../cache/index.ts';
import { createManualClock, type ManualClock } from '../../kernel/index.ts';
import type { ChatMessage } from '../../llm/index.ts';
import type { Bot, TenantStore } from '../../store/index.ts';
import type { AnswerEvent, AnswerRequest } from '../ports.ts';
import { createAnswerCache, type MakeAnswer } from './answer-cache.ts';
import type { AnswerCacheOptions } from './answer-cache-options.ts';
import type { AnswerOpening } from './answer-opening.ts';
import type { AnswerSource, MadeEvent } from './delivery.ts';

const bot = { id: 'bot_1', tenantId: 'tnt_1', metadata: {}, contentRevision: 'r1' } as unknown as Bot;
/** The bot as the store has it now. */
const store: { now: Bot | null } = { now: bot };
const never = new AbortController().signal;

type End = Extract<AnswerEvent, { readonly type: 'end' }>;

async function* answerOf(text: string, end: Partial<End> = {}): AsyncGenerator<MadeEvent> {
  yield { type: 'start', servedBy: 'fake/model', attempts: 1, cache: 'miss', degraded: end.degraded ?? [] };
  yield { type: 'text-delta', text };
  yield {
    type: 'end',
    finishReason: 'stop',
    usage: { inputTokens: 5, outputTokens: 2 },
    citations: [],
    grounded: true,
    degraded: [],
    ...end,
  };
}

interface Asking extends Partial<AnswerRequest> {
  readonly question?: string;
  readonly history?: readonly ChatMessage[];
}

function openingOf({ question = 'How do I reset my password?', history = [], ...request }: Asking = {}): AnswerOpening {
  return {
    request: { bot, messages: [], ...request },
    asked: { question, history, exchange: [], instructions: null },
    tenant: { bots: { get: async () => store.now } } as unknown as TenantStore,
    conversation: null,
    memory: { messages: history, summary: null },
    history,
    model: { caller: { id: 'fake/model' } as AnswerOpening['model']['caller'], readsPrompts: true },
    usage: {} as AnswerOpening['usage'],
  };
}

function setUp({
  clock = createManualClock(),
  ...changes
}: Partial<AnswerCacheOptions> & { readonly clock?: ManualClock } = {}) {
  const counted: string[] = [];
  const meter = { count: (_: string, { result }: Readonly<Record<string, string>>) => void counted.push(result ?? '') };
  const shared: AnswerCacheOptions = {
    cache: createMemoryCache({ maxBytes: 1_000_000, clock }),
    leases: createMemoryLeases({ clock }),
    ttlMs: 1000,
    staleMs: 5000,
    semantic: true,
    serverVersion: '1',
    ...changes,
  };
  const open = () => createAnswerCache({ ...shared, clock, meter: { ...meter, observe: () => {}, gauge: () => {} } });
  return { clock, counted, open, answers: open() };
}

function watchedCache() {
  const kept: string[] = [];
  const cache = createMemoryCache({ maxBytes: 1_000_000, clock: createManualClock() });
  const set: typeof cache.set = (key, value, ttlMs) => {
    kept.push(value);
    return cache.set(key, value, ttlMs);
  };
  return { kept, cache: { ...cache, set } };
}

/** The text, and where it says it comes from. */
async function read(source: Promise<AnswerSource> | AnswerSource): Promise<string> {
  const { events, cache } = await source;
  let state = '';
  let text = '';
  for await (const event of events) {
    if (event.type === 'start') state = cache ?? event.cache;
    if (event.type === 'text-delta') text += event.text;
  }
  return `${state}: ${text}`;
}

/** Lets waiting parts run, and time pass. */
async function pass(clock: ManualClock, milliseconds: number): Promise<void> {
  for (let passed = 0; passed < milliseconds; passed += 50) await clock.advance(50);
}

describe('answer cache', () => {
  it('gives an answer again for its time, in pieces, and offers it as a last resort after it', async () => {
    const { answers, clock } = setUp();
    const long = Array.from({ length: 100 }, (_, number) => `wörd${number} 🦉`).join(' ');
    const offered: (string | null)[] = [];
    const make: MakeAnswer = (_, stale) => {
      offered.push(stale?.text ?? null);
      return answerOf(long);
    };
    expect(await read(answers.source(openingOf(), make, never))).toBe(`miss: ${long}`);
    const { events } = await answers.source(openingOf(), make, never);
    const pieces: string[] = [];
    for await (const event of events) if (event.type === 'text-delta') pieces.push(event.text);
    expect(pieces.join('')).toBe(long);
    expect(pieces.length).toBeGreaterThan(5);
    await clock.advance(1001);
    expect(await read(answers.source(openingOf(), make, never))).toMatch(/^miss/);
    await clock.advance(6001);
    await read(answers.source(openingOf(), make, never));
    expect(offered).toEqual([null, long, null]);
  });

  it('holds its turn for as long as it makes the answer, and a process that died holds nobody up for long', async () => {
    const clock = createManualClock();
    const leases = createMemoryLeases({ clock });
    const taken: CacheKey[] = [];
    const watched: Leases = {
      acquire(key, ttlMs) {
        taken.push(key);
        return leases.acquire(key, ttlMs);
      },
    };
    const { answers } = setUp({ clock, leases: watched });
    let open = (): void => {};
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    const slow = async function* (): AsyncGenerator<MadeEvent> {
      await gate;
      yield* answerOf('made once');
    };
    const answer = read(answers.source(openingOf(), slow, never));
    await pass(clock, 60_000);
    const [key] = taken;
    if (key === undefined) throw new Error('no lease was taken');
    expect(await leases.acquire(key, 1)).toBeNull();
    open();
    expect(await answer).toBe('miss: made once');
    const another = await leases.acquire(key, 1);
    expect(another).not.toBeNull();
  });

  it.each<[string, Partial<End>]>([
    ['length', { finishReason: 'length' }],
    ['content_filter', { finishReason: 'content_filter' }],
    ['degraded', { degraded: ['fallback_model'] }],
  ])('does not keep an answer that is short of what was asked for: %s', async (_, end) => {
    const { answers } = setUp();
    const make = () => answerOf('text', end);
    await read(answers.source(openingOf(), make, never));
    expect(await read(answers.source(openingOf(), make, never))).toBe('miss: text');
  });

  it.each<[string, Bot | null]>([
    ['changed', { ...bot, contentRevision: 'r2' }],
    ['deleted', null],
  ])('does not keep what was made while the content was %s', async (_, after) => {
    const { cache, kept } = watchedCache();
    const { answers } = setUp({ cache });
    const make = async function* (): AsyncGenerator<MadeEvent> {
      store.now = after;
      yield* answerOf('what the content said');
    };
    try {
      expect(await read(answers.source(openingOf(), make, never))).toBe('miss: what the content said');
      expect(kept).toEqual([]);
    } finally {
      store.now = bot;
    }
    await read(answers.source(openingOf(), () => answerOf('text'), never));
    expect(kept).toHaveLength(2);
  });

  it('takes other white space for the same question, but not where it may be code', async () => {
    const { answers } = setUp({ semantic: false });
    const ask = (question: string) => read(answers.source(openingOf({ question }), () => answerOf('text'), never));
    await ask('What does it do?');
    expect(await ask(' What  does\nit do? ')).toBe('exact: text');
    await ask('What is printed?\nif x:\n  f()\n  g()');
    expect(await ask('What is printed?\nif x:\n  f()\ng()')).toBe('miss: text');
  });

  it('answers what is asked in other words, of the same bot, content and conversation alone', async () => {
    const { answers, counted } = setUp();
    const make = () => answerOf('text');
    const ask = (asking: Asking) => read(answers.source(openingOf(asking), make, never));
    await ask({});
    expect(await ask({ question: 'How can I reset the password please?' })).toBe('semantic: text');
    expect(counted).toEqual(['miss', 'semantic']);
    const others: Asking[] = [
      { question: 'How do I not reset my password?' },
      { question: 'how to reset password', bot: { ...bot, contentRevision: 'r2' } },
      { question: 'how to reset password', bot: { ...bot, id: 'bot_2' } },
      { question: 'how to reset password', bot: { ...bot, tenantId: 'tnt_2' } },
      { question: 'how to reset password', bot: { ...bot, metadata: { semantic_cache: 'off' } } },
      { question: 'how to reset password', temperature: 1 },
      { question: 'how to reset password', presencePenalty: 1 },
      { question: 'how to reset password', frequencyPenalty: 1 },
      { question: 'how to reset password', reasoningEffort: 'high' },
      { question: 'how to reset password', responseFormat: { type: 'json_object' } },
      { question: 'how to reset password', history: [{ role: 'user', content: 'Hi' }] },
    ];
    for (const other of others) expect(await ask(other), JSON.stringify(other)).toBe('miss: text');
    const plain = setUp({ semantic: false }).answers;
    await read(plain.source(openingOf(), make, never));
    expect(await read(plain.source(openingOf({ question: 'how to reset password' }), make, never))).toMatch(/^miss/);
  });

  it('gives no answer of a server that is set up otherwise', async () => {
    const cache = createMemoryCache({ maxBytes: 1_000_000, clock: createManualClock() });
    const [one, other] = ['1 a', '1 b'].map((serverVersion) => setUp({ cache, serverVersion }).answers);
    const make = (text: string) => () => answerOf(text);
    expect(await read(one?.source(openingOf(), make('one'), never) as never)).toBe('miss: one');
    expect(await read(other?.source(openingOf(), make('other'), never) as never)).toBe('miss: other');
    expect(await read(one?.source(openingOf(), make('again'), never) as never)).toBe('exact: one');
  });

  it('leaves alone what concerns tools', async () => {
    const { answers, counted } = setUp();
    const tools = [{ name: 'look_up' }];
    for (let time = 0; time < 2; time += 1) {
      expect(await read(answers.source(openingOf({ tools }), () => answerOf('text'), never))).toBe('miss: text');
    }
    expect(counted).toEqual(['off', 'off']);
  });

  it('lets one of several processes make an answer, and the others wait for it', async () => {
    const { open, clock, counted } = setUp();
    let finish = (): void => {};
    const gate = new Promise<void>((resolve) => {
      finish = resolve;
    });
    let made = 0;
    const make = async function* (): AsyncGenerator<MadeEvent> {
      made += 1;
      await gate;
      yield* answerOf('text');
    };
    const first = read(open().source(openingOf(), make, never));
    await pass(clock, 100);
    const second = read(open().source(openingOf(), make, never));
    await pass(clock, 200);
    finish();
    expect(await first).toBe('miss: text');
    await pass(clock, 100);
    expect(await second).toBe('exact: text');
    expect(made).toBe(1);
    expect(counted).toContain('waited');
  });

  it('does not wait for ever: another process may have died', async () => {
    const { open, clock } = setUp();
    const stuck = async function* (): AsyncGenerator<MadeEvent> {
      await new Promise(() => {});
      yield* answerOf('never');
    };
    void read(open().source(openingOf(), stuck, never));
    await pass(clock, 100);
    const second = read(open().source(openingOf(), () => answerOf('text'), never));
    await pass(clock, 5200);
    expect(await second).toBe('miss: text');
  });

  it('goes on at once when another process has failed', async () => {
    const { open, clock } = setUp();
    let fail = (): void => {};
    const broken = async function* (): AsyncGenerator<MadeEvent> {
      await new Promise<void>((resolve) => {
        fail = resolve;
      });
      yield* [];
      throw new Error('no model');
    };
    const first = read(open().source(openingOf(), broken, never));
    first.catch(() => {});
    await pass(clock, 100);
    const second = read(open().source(openingOf(), () => answerOf('text'), never));
    await pass(clock, 100);
    fail();
    await expect(first).rejects.toThrow('no model');
    await pass(clock, 100);
    expect(await second).toBe('miss: text');
  });

  it('lets a stream join a stream, and a whole answer either', async () => {
    const { answers } = setUp();
    let made = 0;
    let finish = (): void => {};
    const gate = new Promise<void>((resolve) => {
      finish = resolve;
    });
    const make = async function* (): AsyncGenerator<MadeEvent> {
      made += 1;
      await gate;
      yield* answerOf('text');
    };
    const ask = async (wholeAnswer: boolean) => {
      const source = await answers.source(openingOf({ wholeAnswer }), make, never);
      return read(source);
    };
    const asked = [ask(false), ask(true), ask(false), ask(true)];
    await new Promise((resolve) => setImmediate(resolve));
    finish();
    expect(await Promise.all(asked)).toEqual(['miss: text', 'exact: text', 'exact: text', 'exact: text']);
    expect(made).toBe(1);
  });
});
